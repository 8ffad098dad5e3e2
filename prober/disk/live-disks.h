/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/named-disk.h"
#include "prober/qmp.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The disks of a running guest, read out of its QEMU: an NBD server on a private unix socket
 * (nbd-server-start) with a read-only export for each disk (block-export-add). Both are removed
 * by live_disks_free() on every path, an interrupt included; should this program be killed, the
 * socket's directory is gone and the exports are harmless, but the next run finds the server
 * running: it says so. Source: QEMU, docs/interop/qemu-qmp-ref, block-export.
 */
typedef struct LiveDisks LiveDisks;

/* Exports every disk with a medium. qmp is borrowed and must outlive the disks. A disk that cannot
 * be exported is left out, with a line in live_disks_problems(). NULL with PROBE_ERROR_QMP or
 * PROBE_ERROR_DISK when there is none. */
LiveDisks *live_disks_open(Qmp *qmp, int64_t timeout_ms, int interrupt_fd, GError **error);
void live_disks_free(LiveDisks *disks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LiveDisks, live_disks_free)

/* Of NamedDisk; borrowed. */
const GPtrArray *live_disks_list(const LiveDisks *disks);
/* Of char *; borrowed; may be empty. */
const GPtrArray *live_disks_problems(const LiveDisks *disks);
