/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/nbd-connection.h"

#include <glib.h>

/*
 * A qemu-nbd of our own that serves one image, read-only, to one connection, and ends with it. It
 * listens on a socket that it inherits (LISTEN_FDS, sd_listen_fds(3)) and that has lost its name
 * by the time it is used, so nobody else reads the image through it. It is started without a
 * shell, with a clean environment, and ends when the thread that started it ends
 * (PR_SET_PDEATHSIG).
 */
typedef struct QemuNbd QemuNbd;

/* options: NULL-terminated, qemu-nbd's own, the image among them. NULL with PROBE_ERROR_DISK, which
 * holds what qemu-nbd said. timeout_ms and interrupt_fd as in nbd_connection_open_uri(). */
QemuNbd *qemu_nbd_start(const char *const *options, int64_t timeout_ms, int interrupt_fd,
                        GError **error);
/* The child has ended and is reaped when this returns; it is given a second before SIGKILL. */
void qemu_nbd_free(QemuNbd *child);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuNbd, qemu_nbd_free)

NbdConnection *qemu_nbd_connection(QemuNbd *child);
