/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"
#include "agent/command.h"

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/* From a request to its command and back: finds the row, checks it against the block and allow
 * lists and the frozen state, parses the arguments, runs, wraps the result. */

Dispatch *dispatch_new(Agent *agent);
void dispatch_free(Dispatch *dispatch);

/* Called exactly once per request, perhaps before dispatch_request() returns. reply is one line
 * with its newline, with the 0xFF in front where the command asks for it, or NULL when nothing is
 * to be sent; the callee does not own it. */
typedef void (*DispatchDone)(GBytes *reply, void *user_data);

/* Carries out one request. value is what the stream gave (NULL for JSON null), borrowed. */
void dispatch_request(Dispatch *dispatch, json_object *value, DispatchDone done, void *user_data);

/* The reply line for input that is no request (the stream's error, borrowed). */
GBytes *dispatch_error_reply(const GError *error);

/* All commands in the order of the tables. */
void dispatch_foreach(void (*visit)(const Command *command, bool enabled, void *user_data),
                      const Dispatch *dispatch, void *user_data);

/* The commands' names, one per line, on standard output: --block-rpcs=help. */
void dispatch_print_commands(void);
