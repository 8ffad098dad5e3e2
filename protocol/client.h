/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The host's side of the wire: requests over a connected descriptor, one at a time, each with a
 * deadline. Blocking, but never longer than the deadline, which counts on CLOCK_MONOTONIC.
 * A timeout_ms below 0 is no deadline; messages are bounded as MessageStream bounds them.
 *
 * The agent's own errors have its text (desc) as their message, cut short and made printable; all
 * others name the peer and, from a call, the command.
 */
typedef struct Client Client;

#define CLIENT_ERROR (client_error_quark())
GQuark client_error_quark(void);

typedef enum {
    CLIENT_ERROR_TIMEOUT,           /* no (complete) reply in time */
    CLIENT_ERROR_CLOSED,            /* the peer closed the connection or it broke */
    CLIENT_ERROR_GARBAGE,           /* the peer answered something that is no reply */
    CLIENT_ERROR_COMMAND_NOT_FOUND, /* the agent's own error, class CommandNotFound */
    CLIENT_ERROR_REPLY,             /* the agent's own error, any other class */
    CLIENT_ERROR_INTERRUPTED,       /* the interrupt descriptor became readable */
    CLIENT_ERROR_NO_AGENT,          /* the peer is something else, e.g. a QMP socket */
} ClientError;

/* Takes ownership of fd, a connected stream (unix socket, vsock, raw tty), and makes it
 * non-blocking. name is used in error messages, e.g. the socket's path. */
Client *client_new(int fd, const char *name);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* Connects to a unix stream socket without waiting; the error (CLOSED) names path and remedy. */
Client *client_connect_unix(const char *path, GError **error);

/* Connects to a vsock port (vsock(7)) of the guest with context id cid; waits for two seconds at
 * most. */
Client *client_connect_vsock(uint32_t cid, uint32_t port, GError **error);

/* Calls end early with CLIENT_ERROR_INTERRUPTED once interrupt_fd is readable (an eventfd or
 * signalfd of the program's); -1 switches that off. Not owned. */
void client_set_interrupt_fd(Client *client, int interrupt_fd);

/*
 * Puts both ends in step with guest-sync-delimited and a fresh random id: whatever an earlier user
 * of the port left behind, partial requests and late replies, is thrown away. A TIMEOUT's message
 * tells what came instead of the reply.
 */
bool client_sync(Client *client, int64_t timeout_ms, GError **error);

/*
 * Sends a command and returns the value of "return" (a json-c reference the caller owns; NULL is
 * JSON null - tell it from failure by *error). arguments may be NULL; its reference is not taken.
 *
 * No reply is ever taken for the answer to another call's command: when an earlier call ended
 * without its reply, after client_send(), or when there is input that nobody asked for, the call
 * begins with a sync, within its own deadline.
 */
json_object *client_call(Client *client, const char *command, json_object *arguments,
                         int64_t timeout_ms, GError **error);

/* Sends a command and waits for no reply: for those whose interface says success-response: false,
 * or when the agent must be told even though it may not answer (a thaw after a timeout). */
bool client_send(Client *client, const char *command, json_object *arguments, int64_t timeout_ms,
                 GError **error);
