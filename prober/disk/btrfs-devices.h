/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/btrfs-superblock.h"
#include "prober/disk/disk-bytes.h"

#include <glib.h>

/*
 * Which of a filesystem's devices are not among those present: "device 2 (UUID)", separated by
 * commas. The names of all stand at the beginning of the chunk tree, which superblock, of the
 * device whose bytes these are, leads to; at most nine blocks of it are read. Where it cannot be
 * read on this device, only how many are missing: "1".
 * present: of const BtrfsSuperblock. Never NULL; owned by the caller.
 */
char *btrfs_devices_describe_missing(DiskBytes *bytes, const BtrfsSuperblock *superblock,
                                     const GPtrArray *present);
