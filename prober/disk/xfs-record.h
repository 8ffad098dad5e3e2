/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One record of xfs's log: a header of one or more blocks, then operations. So that each block can
 * begin with the number of its cycle, the words that belong there are kept in the header.
 */
#define XFS_RECORD_HEADER_BYTES 512
#define XFS_RECORD_DATA_BYTES_MAX (256u * 1024)
#define XFS_RECORD_BLOCKS_MAX (XFS_RECORD_DATA_BYTES_MAX / 512 + 8)
#define XFS_RECORD_MAGIC 0xfeedbabeu

typedef struct {
    uint32_t cycle;
    uint32_t data_bytes;
    uint64_t lsn;
    uint64_t tail_lsn;
    uint32_t operations;
    uint32_t crc;           /* 0: none was written */
    uint32_t header_blocks; /* 1 to 8 */
    uint32_t blocks;        /* header and data, at most XFS_RECORD_BLOCKS_MAX */
} XfsRecord;

/* block: the header's first XFS_RECORD_HEADER_BYTES. uuid: the filesystem's. False: it is no
 * header of this filesystem's log, or one that no kernel writes. */
bool xfs_record_parse(const uint8_t *block, const uint8_t *uuid, XfsRecord *record);

/* For all of these, raw is the whole record as it lies on the disk, record->blocks * 512 bytes. */
bool xfs_record_checksum_is_right(const XfsRecord *record, const uint8_t *raw);
/* Puts the words back that the numbers of the cycle replaced; after the checksum was looked at. */
void xfs_record_restore(const XfsRecord *record, uint8_t *raw);
bool xfs_record_is_unmount(const XfsRecord *record, const uint8_t *raw);
/* What it holds beside changes of the superblock and an unmount: *what is a name to be freed
 * ("inode", "buffer at block 24"), or NULL for nothing. False with PROBE_ERROR_DISK when it is
 * damaged. */
bool xfs_record_find_change(const XfsRecord *record, const uint8_t *raw, char **what,
                            GError **error);
