/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The host's side of the wire: requests over a connected descriptor, one at a time, each with a
 * deadline. Blocking, but never longer than the deadline.
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
} ClientError;

/* Takes ownership of fd, a connected stream (unix socket, vsock, tty). name is used in error
 * messages, e.g. the socket's path. */
Client *client_new(int fd, const char *name);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* Connects to a unix stream socket; the error names the path and the remedy. */
Client *client_connect_unix(const char *path, GError **error);

/* Connects to a vsock port of the guest with the context id cid (vsock(7)). */
Client *client_connect_vsock(uint32_t cid, uint32_t port, GError **error);

/* Calls end early with CLIENT_ERROR_INTERRUPTED once interrupt_fd is readable (an eventfd or
 * signalfd of the program's); -1 switches that off. Not owned. */
void client_set_interrupt_fd(Client *client, int interrupt_fd);

/*
 * Puts both ends in step with guest-sync-delimited and a fresh random id: whatever an earlier user
 * of the port left behind, partial requests and late replies, is thrown away.
 */
bool client_sync(Client *client, int64_t timeout_ms, GError **error);

/*
 * Sends a command and returns the value of "return" (a json-c reference the caller owns; NULL is
 * JSON null - tell it from failure by *error). arguments may be NULL; its reference is not taken.
 * After TIMEOUT, GARBAGE or INTERRUPTED a late reply may still come: client_sync() before the next
 * call.
 */
json_object *client_call(Client *client, const char *command, json_object *arguments,
                         int64_t timeout_ms, GError **error);

/* Sends a command whose interface says success-response: false; waits for nothing. */
bool client_send(Client *client, const char *command, json_object *arguments, int64_t timeout_ms,
                 GError **error);
