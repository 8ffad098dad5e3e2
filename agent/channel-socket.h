/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Listening sockets. All descriptors are non-blocking and close-on-exec. */

/* Binds a unix socket that only its owner may connect to. A socket that a dead program left behind
 * is removed first; one that somebody listens on, and anything that is no socket, is an error. */
int channel_socket_listen_unix(const char *path, GError **error);

/* address is "CID:PORT" as in qemu-ga's --path; CID 4294967295 is any. Source: vsock(7). */
int channel_socket_listen_vsock(const char *address, GError **error);

/*
 * The socket that systemd (or whoever speaks its protocol) handed over, -1 if there is none - tell
 * that from failure by *error. The variables that announce it are removed from the environment.
 * More than one, or one that does not listen on a unix or vsock address, is an error.
 * Source: sd_listen_fds(3).
 */
int channel_socket_inherited(GError **error);

/* The next client, -1 if there is none or with *error set. *name tells who it is; free it. */
int channel_socket_accept(int listen_fd, char **name, GError **error);
