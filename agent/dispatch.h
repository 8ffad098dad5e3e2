/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"
#include "agent/command.h"

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* From a request to its command and back: finds the row, checks it against the block and allow
 * lists and the frozen state, parses the arguments, runs, wraps the result. */

/* Reads the block and allow lists of agent->config (NULL: none); a name there that is no command is
 * a warning in the log. agent->freeze_engine NULL counts as thawed. */
Dispatch *dispatch_new(Agent *agent);
/* The same with other families than the agent's own, NULL-terminated and kept. */
Dispatch *dispatch_new_with_families(Agent *agent, const Command *const *families);
/* Calls under way go on; they end without a reply. */
void dispatch_free(Dispatch *dispatch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Dispatch, dispatch_free)

/* Called exactly once per request, perhaps before dispatch_request() returns. reply is one line
 * with its newline, with the 0xFF in front where the command asks for it, or NULL when nothing is
 * to be sent; the callee does not own it. */
typedef void (*DispatchDone)(GBytes *reply, void *user_data);

/* Carries out one request. value is what the stream gave (NULL for JSON null); its reference is
 * taken over, so that a large payload is let go as soon as the arguments are out of it. peer names
 * the asker in the log. */
void dispatch_request(Dispatch *dispatch, json_object *value, const char *peer, DispatchDone done,
                      void *user_data);

/* The reply line for input that is no request (the stream's error, borrowed). */
GBytes *dispatch_error_reply(const GError *error);

/* All commands in the order of the tables; enabled as a request would find them now. */
void dispatch_foreach(void (*visit)(const Command *command, bool enabled, void *user_data),
                      const Dispatch *dispatch, void *user_data);

/* The commands' names, one per line, on standard output: --block-rpcs=help. */
void dispatch_print_commands(void);
