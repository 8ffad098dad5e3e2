/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A listening unix socket that is handed to another program as a descriptor. It has a name, in a
 * directory of its own that nobody else may enter, only as long as we connect to it: the other
 * program needs no right to any directory (QEMU runs as another user, or in a container), and once
 * the name is gone nobody else can reach the socket.
 * All errors are PROBE_ERROR_DISK.
 */
typedef struct PrivateSocket PrivateSocket;

PrivateSocket *private_socket_new(GError **error);
/* Removes the name and closes our end; connections, and the other program's end, stay. */
void private_socket_free(PrivateSocket *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PrivateSocket, private_socket_free)

/* Owned by the socket. */
int private_socket_listener(const PrivateSocket *self);
/* A connection, also when nobody accepts yet; owned by the caller; -1 with an error. */
int private_socket_connect(const PrivateSocket *self, GError **error);
