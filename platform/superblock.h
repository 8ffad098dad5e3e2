/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* What libblkid tells of a filesystem on a device or in an image. */
typedef struct {
    char *type;  /* "ext4", "xfs", "btrfs"; NULL when none was recognised */
    char *uuid;  /* as libblkid writes it ("0a1b-..."; vfat "1A2B-3C4D"); NULL when there is none */
    char *label; /* NULL when there is none */
} Superblock;

/* Reads the superblock of a block device or image file with libblkid's low-level probe (no cache,
 * no udev). May block as long as the device does. */
Superblock *superblock_probe(const char *path, GError **error);
void superblock_free(Superblock *superblock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Superblock, superblock_free)
