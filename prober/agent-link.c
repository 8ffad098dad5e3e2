/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "protocol/client.h"

struct AgentLink {
    char *socket_path;
    int64_t timeout_ms;
    int interrupt_fd;
    Client *client; /* NULL: not connected */
};

AgentLink *agent_link_new(const char *socket_path, int64_t timeout_ms)
{
    AgentLink *link = g_new0(AgentLink, 1);

    link->socket_path = g_strdup(socket_path);
    link->timeout_ms = timeout_ms;
    link->interrupt_fd = -1;
    return link;
}

void agent_link_free(AgentLink *link)
{
    g_clear_pointer(&link->client, client_free);
    g_free(link->socket_path);
    g_free(link);
}

const char *agent_link_name(const AgentLink *link)
{
    return link->socket_path;
}

void agent_link_set_interrupt_fd(AgentLink *link, int fd)
{
    link->interrupt_fd = fd;
    if (link->client)
        client_set_interrupt_fd(link->client, fd);
}

void agent_link_disconnect(AgentLink *link)
{
    g_clear_pointer(&link->client, client_free);
}

static bool ensure_connected(AgentLink *link, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (link->client)
        return true;

    g_autoptr(Client) client = client_connect_unix(link->socket_path, error);
    if (!client)
        return false;
    client_set_interrupt_fd(client, link->interrupt_fd);
    if (!client_sync(client, link->timeout_ms, &problem)) {
        bool silent = g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT);
        g_propagate_prefixed_error(error, g_steal_pointer(&problem), "%s",
                                   silent
                                       ? "nobody answers (is the agent running in the guest, and "
                                         "nobody else, as libvirt, using its socket?): "
                                       : "");
        return false;
    }
    link->client = g_steal_pointer(&client);
    return true;
}

static void drop_when_closed(AgentLink *link, const GError *problem)
{
    if (g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_CLOSED))
        agent_link_disconnect(link);
}

bool agent_link_sync(AgentLink *link, int64_t timeout_ms, GError **error)
{
    g_autoptr(GError) problem = NULL;

    /* A new connection begins with a sync of its own. */
    if (!link->client)
        return ensure_connected(link, error);
    if (client_sync(link->client, timeout_ms, &problem))
        return true;
    drop_when_closed(link, problem);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

json_object *agent_link_call_within(AgentLink *link, const char *command, json_object *arguments,
                                    int64_t timeout_ms, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!ensure_connected(link, error))
        return NULL;
    json_object *reply = client_call(link->client, command, arguments, timeout_ms, &problem);
    if (problem) {
        drop_when_closed(link, problem);
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return reply;
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
