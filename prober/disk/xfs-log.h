/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The log of an xfs filesystem: a ring of 512-byte blocks that holds records, each begun by a
 * header. Every block carries the number of the cycle in which it was written, so that the place
 * where the number drops by one is the head; the last record before it names the tail.
 */
#define XFS_LOG_BLOCK_BYTES 512

typedef struct {
    DiskBytes *bytes; /* of the filesystem; borrowed */
    uint64_t offset_bytes;
    uint32_t blocks;
    const uint8_t *uuid; /* the filesystem's, 16 bytes; borrowed */
} XfsLog;

typedef enum {
    XFS_LOG_UNMOUNTED, /* ends in the record of a clean unmount */
    XFS_LOG_COVERED,   /* nothing but the superblock between tail and head */
    XFS_LOG_DIRTY,     /* something else: what says what */
    XFS_LOG_TORN,      /* a record was being written */
} XfsLogState;

typedef struct {
    XfsLogState state;
    uint64_t head_lsn; /* of the last record: cycle << 32 | block */
    uint64_t tail_lsn;
    uint32_t records; /* looked at between tail and head */
    char *what;       /* the first thing that is not the superblock; NULL */
} XfsLogReading;

/*
 * Reads the blocks of a binary search, the last record, and those from the tail on until one holds
 * something else than the superblock: at most 64.
 * False with PROBE_ERROR_DISK when it cannot be read or makes no sense. Free reading->what.
 */
bool xfs_log_read(const XfsLog *log, XfsLogReading *reading, GError **error);
