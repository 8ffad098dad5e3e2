/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "protocol/client.h"

struct AgentLink {
    char *name;
    char *words;
    const AgentLinkCalls *calls;
    void *data;
    int64_t timeout_ms;
};

AgentLink *agent_link_new(const char *name, const char *words, const AgentLinkCalls *calls,
                          void *data, int64_t timeout_ms)
{
    AgentLink *link = g_new0(AgentLink, 1);

    link->name = g_strdup(name);
    link->words = g_strdup(words);
    link->calls = calls;
    link->data = data;
    link->timeout_ms = timeout_ms;
    return link;
}

void agent_link_free(AgentLink *link)
{
    link->calls->free(link->data);
    g_free(link->words);
    g_free(link->name);
    g_free(link);
}

const char *agent_link_name(const AgentLink *link)
{
    return link->name;
}

const char *agent_link_words(const AgentLink *link)
{
    return link->words;
}

void agent_link_set_interrupt_fd(AgentLink *link, int fd)
{
    link->calls->set_interrupt_fd(link->data, fd);
}

void agent_link_disconnect(AgentLink *link)
{
    link->calls->disconnect(link->data);
}

bool agent_link_sync(AgentLink *link, int64_t timeout_ms, GError **error)
{
    return link->calls->sync(link->data, timeout_ms, error);
}

json_object *agent_link_call_within(AgentLink *link, const char *command, json_object *arguments,
                                    int64_t timeout_ms, GError **error)
{
    return link->calls->call(link->data, command, arguments, timeout_ms, error);
}

json_object *agent_link_call(AgentLink *link, const char *command, json_object *arguments,
                             GError **error)
{
    return agent_link_call_within(link, command, arguments, link->timeout_ms, error);
}

bool agent_link_is_answer(const GError *error)
{
    return g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_REPLY) ||
           g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_COMMAND_NOT_FOUND);
}
