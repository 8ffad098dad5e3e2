/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The superblock of an ext filesystem's own journal (jbd2). */
typedef struct {
    uint32_t start; /* the block where its log begins; 0: the log is empty */
    uint32_t sequence;
    int32_t error; /* why the kernel gave the journal up; 0: it did not */
} ExtJournal;

/*
 * Finds it through the journal's inode, whose number ext_superblock (1024 bytes) names. Reads four
 * blocks and, where the inode's extents form a tree, one more for each level.
 * False with PROBE_ERROR_DISK when it cannot be read, is none, or its checksum is wrong.
 * Source: Linux, Documentation/filesystems/ext4 (group_descr.rst, inodes.rst, ifork.rst,
 * journal.rst).
 */
bool ext_journal_read(DiskBytes *bytes, const uint8_t *ext_superblock, ExtJournal *journal,
                      GError **error);
