/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The way to one guest's agent, which survives the loss of a connection: the only part of the
 * prober that knows how requests travel. Today that is the unix socket of a QEMU character device;
 * vsock and libvirt's agent API are to become other ways to make one.
 */
typedef struct AgentLink AgentLink;

/* timeout_ms bounds each call that does not bring its own. Connects nothing yet. */
AgentLink *agent_link_new(const char *socket_path, int64_t timeout_ms);
void agent_link_free(AgentLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentLink, agent_link_free)

/* What the link leads to, for messages. */
const char *agent_link_name(const AgentLink *link);

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
