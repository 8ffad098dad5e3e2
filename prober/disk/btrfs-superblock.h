/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define BTRFS_SUPERBLOCK_BYTES 4096
#define BTRFS_MIRRORS 2 /* at 64 MiB and 256 GiB, where the device is that large */

typedef enum {
    BTRFS_CHECKSUM_RIGHT,
    BTRFS_CHECKSUM_WRONG,
    BTRFS_CHECKSUM_NOT_VERIFIED, /* of a kind that is not computed here: xxhash64, blake2b */
} BtrfsChecksum;

typedef struct {
    uint8_t raw[BTRFS_SUPERBLOCK_BYTES];
    BtrfsChecksum checksum;
    const char *checksum_name;
    uint64_t generation;
    uint64_t log_root; /* where the tree of the last fsyncs begins; 0: there was none */
    uint64_t devices;  /* of the filesystem */
    uint64_t device;   /* this one's number */
} BtrfsSuperblock;

/* The one at 64 KiB, or with mirror 1 to BTRFS_MIRRORS a mirror. False with PROBE_ERROR_DISK: it
 * cannot be read, or there is none. A wrong checksum is no error.
 * Source: Linux, include/uapi/linux/btrfs_tree.h; btrfs-dev-docs, "On-disk format". */
bool btrfs_superblock_read(DiskBytes *bytes, unsigned mirror, BtrfsSuperblock *superblock,
                           GError **error);
/* 16 bytes each, borrowed: the filesystem's and this device's. */
const uint8_t *btrfs_superblock_uuid(const BtrfsSuperblock *superblock);
const uint8_t *btrfs_superblock_device_uuid(const BtrfsSuperblock *superblock);
