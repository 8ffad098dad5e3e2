/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One export of an NBD server, for reading, by libnbd. No call waits longer than its timeout,
 * whatever the server does; only the look-up of a host's name is the resolver's own. Not for
 * several threads at once.
 * All errors are PROBE_ERROR_DISK and say what failed, not where: the caller knows the address.
 */
typedef struct NbdConnection NbdConnection;

/* timeout_ms: for connecting, and for each read. interrupt_fd, not owned: calls end once it is
 * readable; -1: none. Source of what an address may be: nbd_connect_uri(3). */
NbdConnection *nbd_connection_open_uri(const char *uri, int64_t timeout_ms, int interrupt_fd,
                                       GError **error);
/* socket_fd, connected, is taken over whatever comes of it; export_name "" is the default one. */
NbdConnection *nbd_connection_open_socket(int socket_fd, const char *export_name,
                                          int64_t timeout_ms, int interrupt_fd, GError **error);
void nbd_connection_free(NbdConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NbdConnection, nbd_connection_free)

/* Whether address is one for nbd_connection_open_uri(). */
bool nbd_connection_is_uri(const char *address);

uint64_t nbd_connection_size(const NbdConnection *connection);

/* Inside the size. After a timeout or an interrupt every further read fails, too: the server's
 * late answer would have nowhere to go. */
bool nbd_connection_read(NbdConnection *connection, uint64_t offset, void *buffer, size_t length,
                         GError **error);
