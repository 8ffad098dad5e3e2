/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The way to one guest's agent, which survives the loss of a connection. How requests travel is
 * the transport's business: a stream (prober/agent-stream.h) or libvirt
 * (prober/libvirt/libvirt-agent.h). target_agent() (prober/target.h) makes the one that fits.
 */
typedef struct AgentLink AgentLink;

/*
 * A transport. It connects when it has to, within the call's deadline, and tells trouble on the way
 * from the agent's answers by their errors: an answer is CLIENT_ERROR_REPLY or
 * CLIENT_ERROR_COMMAND_NOT_FOUND, and nothing else is.
 */
typedef struct {
    void (*set_interrupt_fd)(void *data, int interrupt_fd);
    void (*disconnect)(void *data);
    bool (*sync)(void *data, int64_t timeout_ms, GError **error);
    json_object *(*call)(void *data, const char *command, json_object *arguments,
                         int64_t timeout_ms, GError **error);
    void (*free)(void *data);
} AgentLinkCalls;

/* name and words are for people: the guest, and the options of this program that lead to it. calls
 * is static; data is taken over. timeout_ms bounds each call that does not bring its own. */
AgentLink *agent_link_new(const char *name, const char *words, const AgentLinkCalls *calls,
                          void *data, int64_t timeout_ms);
void agent_link_free(AgentLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentLink, agent_link_free)

/* What the link leads to, for messages. */
const char *agent_link_name(const AgentLink *link);
/* The options that lead there, quoted for a shell: "--socket /run/vm1.agent". */
const char *agent_link_words(const AgentLink *link);

/* Calls end early with CLIENT_ERROR_INTERRUPTED once fd is readable; -1 switches that off. */
void agent_link_set_interrupt_fd(AgentLink *link, int fd);

/* Lets go of a connection that has gone bad; the next call makes a new one. */
void agent_link_disconnect(AgentLink *link);

/* Throws away whatever the agent has sent unasked, so that the next reply belongs to the next call.
 * Calls do so by themselves when they know of a need; before a call that must not be taken for
 * answered, ask for it. */
bool agent_link_sync(AgentLink *link, int64_t timeout_ms, GError **error);

/*
 * Sends a command and returns the value of "return", as client_call() (protocol/client.h), NULL
 * with an error, NULL without one for JSON null. Connects first when there is no connection, and
 * brings both ends into step when they may not be. arguments may be NULL; not taken.
 * A lost connection is an error of the call that noticed; the next call makes a new one.
 */
json_object *agent_link_call(AgentLink *link, const char *command, json_object *arguments,
                             GError **error);
json_object *agent_link_call_within(AgentLink *link, const char *command, json_object *arguments,
                                    int64_t timeout_ms, GError **error);

/* Whether the error is what the agent itself answered, and not trouble on the way. */
bool agent_link_is_answer(const GError *error);
