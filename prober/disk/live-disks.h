/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/named-disk.h"
#include "prober/qmp.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The disks of a running guest, read out of its QEMU: an NBD server (nbd-server-start) with a
 * read-only export for each disk (block-export-add). Both are removed by live_disks_free() on every
 * path, an interrupt included. QEMU gets the server's listening socket as a descriptor (getfd): it
 * may run as another user, in a container or under AppArmor and needs no right to any directory of
 * ours, and the socket has no name any more once the disks are open. Should this program be killed,
 * nobody can reach the exports; the next run finds the server running and says so.
 * Source: QEMU, docs/interop/qemu-qmp-ref: getfd, nbd-server-start, block-export-add.
 */
typedef struct LiveDisks LiveDisks;

/* Exports every disk that the guest can write to: those that the counters count, under the same
 * names. qmp is borrowed and must outlive the disks. A disk that cannot
 * be exported is left out, with a line in live_disks_problems(). NULL with PROBE_ERROR_QMP or
 * PROBE_ERROR_DISK when there is none. */
LiveDisks *live_disks_open(Qmp *qmp, int64_t timeout_ms, int interrupt_fd, GError **error);
void live_disks_free(LiveDisks *disks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LiveDisks, live_disks_free)

/* Of NamedDisk; borrowed. */
const GPtrArray *live_disks_list(const LiveDisks *disks);
/* Of char *; borrowed; may be empty. */
const GPtrArray *live_disks_problems(const LiveDisks *disks);
