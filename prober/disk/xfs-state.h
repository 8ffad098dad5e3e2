/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/filesystem-state.h"

#include <stdbool.h>

/*
 * xfs, versions 4 and 5, with its log on the same device. A freeze writes everything back and then
 * covers the log: between its tail and its head are left only changes of the superblock (its
 * counters). A clean unmount leaves a record of its own at the head. Anything else in between means
 * that the filesystem was mounted for writing and not frozen.
 * The kernel covers the log of an idle filesystem, too, after about a minute: hence idle_alike.
 * Source: XFS Algorithms & Data Structures (xfs-documentation), "Superblocks" and "Journaling
 * Log"; Linux, fs/xfs/xfs_log.c (xfs_log_quiesce, xfs_log_cover).
 */
bool xfs_state_recognises(DiskBytes *bytes);
/* Never NULL. Sets all but volume; owned by the caller. */
FilesystemState *xfs_state_read(DiskBytes *bytes);
