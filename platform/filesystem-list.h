/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/block-stack.h"
#include "platform/mount-table.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/* The mounted filesystems that lie on block devices, as guest-get-fsinfo lists them. Pure. */
typedef struct {
    const Mount *mount; /* borrowed from the table */
    char *name;         /* kernel name of its (first) device: "vda1", "dm-0" */
    GArray *disks;      /* of dev_t: the devices at the bottom, see superblock_graph_disks() */
    bool may_hang;      /* statvfs(3) on mount_point might wait for a server or a process */
    bool hidden;        /* mount_point leads to another mount, which covers this one */
} ListedFilesystem;

/* One entry per mount of the own namespace, the newest first, as qemu-ga 7.2.22 lists them: bind
 * mounts, subvolumes and read-only filesystems included, whatever has no block device left out.
 * The table must outlive the list. */
GPtrArray *filesystem_list_build(const MountTable *mounts, const BlockStack *stack);
