/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/xfs-record.h"

#include "prober/disk/crc32c.h"
#include "prober/disk/disk-field.h"
#include "prober/probe-error.h"

#include <glib.h>
#include <string.h>

#define BLOCK_BYTES 512u
#define VERSION_2 2
#define WORDS_PER_HEADER 64u /* of h_cycle_data, and of each header that follows */
#define DATA_BYTES_PER_HEADER (WORDS_PER_HEADER * BLOCK_BYTES)
#define WORDS_AT 44
#define CONTINUED_WORDS_AT 4
#define CONTINUED_BYTES 260
#define CRC_AT 32
/* struct xlog_rec_header is padded to 8 bytes where 64-bit integers are aligned so. */
#define CRC_BYTES_64 328
#define CRC_BYTES_32 324

#define OPERATION_BYTES 12
#define OPERATION_START 0x01
#define OPERATION_COMMIT 0x02
#define OPERATION_CONTINUED (0x04 | 0x08 | 0x10)
#define OPERATION_UNMOUNT 0x20
#define TRANSACTION_MAGIC 0x5452414eu
#define TRANSACTION_HEADER_BYTES 16
#define ITEM_FIRST 0x1236
#define ITEM_LAST 0x12ff /* there are 0x1236 to 0x124d in Linux 6.18 */
#define ITEM_BUFFER 0x123c
#define ITEM_BUFFER_BYTES_MIN 16

bool xfs_record_parse(const uint8_t *block, const uint8_t *uuid, XfsRecord *record)
{
    uint32_t version = disk_field_be32(block + 8);
    uint32_t size = disk_field_be32(block + 320);
    bool wide = version & VERSION_2 && size > DATA_BYTES_PER_HEADER;

    if (disk_field_be32(block) != XFS_RECORD_MAGIC || memcmp(block + 304, uuid, 16) != 0)
        return false;
    record->cycle = disk_field_be32(block + 4);
    record->data_bytes = disk_field_be32(block + 12);
    record->lsn = disk_field_be64(block + 16);
    record->tail_lsn = disk_field_be64(block + 24);
    record->crc = disk_field_le32(block + CRC_AT);
    record->operations = disk_field_be32(block + 40);
    if (record->data_bytes > XFS_RECORD_DATA_BYTES_MAX ||
        (wide && size > XFS_RECORD_DATA_BYTES_MAX))
        return false;
    record->header_blocks = wide ? (size + DATA_BYTES_PER_HEADER - 1) / DATA_BYTES_PER_HEADER : 1;
    record->blocks = record->header_blocks + (record->data_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    return true;
}

static uint32_t checksum(const XfsRecord *record, const uint8_t *raw, size_t header_bytes)
{
    static const uint8_t zero[4];
    const uint8_t *data = raw + record->header_blocks * BLOCK_BYTES;
    uint32_t needed = (record->data_bytes + DATA_BYTES_PER_HEADER - 1) / DATA_BYTES_PER_HEADER;
    uint32_t crc = crc32c(CRC32C_START, raw, CRC_AT);

    crc = crc32c(crc, zero, sizeof zero);
    crc = crc32c(crc, raw + CRC_AT + sizeof zero, header_bytes - CRC_AT - sizeof zero);
    /* Of the headers that follow, those count that the data needs, not all that are there. */
    for (uint32_t i = 1; i < MIN(record->header_blocks, needed); i++)
        crc = crc32c(crc, raw + i * BLOCK_BYTES, CONTINUED_BYTES);
    return ~crc32c(crc, data, record->data_bytes);
}

bool xfs_record_checksum_is_right(const XfsRecord *record, const uint8_t *raw)
{
    return record->crc == 0 || record->crc == checksum(record, raw, CRC_BYTES_64) ||
           record->crc == checksum(record, raw, CRC_BYTES_32);
}

void xfs_record_restore(const XfsRecord *record, uint8_t *raw)
{
    uint8_t *data = raw + record->header_blocks * BLOCK_BYTES;
    uint32_t data_blocks = record->blocks - record->header_blocks;

    for (uint32_t i = 0; i < data_blocks && i < record->header_blocks * WORDS_PER_HEADER; i++) {
        uint32_t header = i / WORDS_PER_HEADER;
        const uint8_t *words =
            raw + header * BLOCK_BYTES + (header == 0 ? WORDS_AT : CONTINUED_WORDS_AT);
        memcpy(data + i * BLOCK_BYTES, words + i % WORDS_PER_HEADER * 4, 4);
    }
}

bool xfs_record_is_unmount(const XfsRecord *record, const uint8_t *raw)
{
    const uint8_t *operation = raw + record->header_blocks * BLOCK_BYTES;

    return record->operations == 1 && record->data_bytes >= OPERATION_BYTES &&
           operation[9] & OPERATION_UNMOUNT;
}

typedef struct {
    bool big_endian;       /* what the kernel of the guest was: items are in its own byte order */
    uint16_t regions_left; /* of the superblock's buffer */
} Walk;

static const struct {
    uint16_t type;
    const char *name;
} items[] = {
    {0x1236, "extent free intent"},
    {0x1237, "extent free done"},
    {0x123b, "inode"},
    {0x123d, "quota"},
    {0x123f, "inode creation"},
    {0x1240, "reverse mapping intent"},
    {0x1241, "reverse mapping done"},
    {0x1242, "reference count intent"},
    {0x1243, "reference count done"},
    {0x1244, "block mapping intent"},
    {0x1245, "block mapping done"},
    {0x1246, "attribute intent"},
    {0x1247, "attribute done"},
};

static char *name_item(uint16_t type)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(items); i++)
        if (items[i].type == type)
            return g_strdup(items[i].name);
    return type >= ITEM_FIRST && type <= ITEM_LAST ? g_strdup_printf("log item 0x%04x", type)
                                                   : NULL;
}

static bool fail(GError **error, const char *problem)
{
    g_set_error_literal(error, PROBE_ERROR, PROBE_ERROR_DISK, problem);
    return false;
}

static bool is_transaction_header(Walk *walk, const uint8_t *region, uint32_t length)
{
    if (length != TRANSACTION_HEADER_BYTES)
        return false;
    if (disk_field_le32(region) == TRANSACTION_MAGIC)
        walk->big_endian = false;
    else if (disk_field_be32(region) == TRANSACTION_MAGIC)
        walk->big_endian = true;
    else
        return false;
    return true;
}

static bool judge_item(Walk *walk, const uint8_t *region, uint32_t length, char **what,
                       GError **error)
{
    bool big = walk->big_endian;
    uint16_t type, regions;

    if (length < 4)
        return fail(error, "a log item is too short");
    type = big ? disk_field_be16(region) : disk_field_le16(region);
    regions = big ? disk_field_be16(region + 2) : disk_field_le16(region + 2);
    if (type != ITEM_BUFFER) {
        *what = name_item(type);
        return *what != NULL || fail(error, "a log item is of a type that does not exist");
    }
    if (length < ITEM_BUFFER_BYTES_MIN || regions == 0)
        return fail(error, "a buffer's log item is too short");
    uint64_t block = big ? disk_field_be64(region + 8) : disk_field_le64(region + 8);
    if (block != 0)
        *what = g_strdup_printf("buffer at block %" G_GUINT64_FORMAT, block);
    walk->regions_left = (uint16_t)(regions - 1);
    return true;
}

static bool judge_operation(Walk *walk, uint8_t flags, const uint8_t *region, uint32_t length,
                            char **what, GError **error)
{
    if (flags & OPERATION_CONTINUED) {
        *what = g_strdup("operation that goes on in another record");
        return true;
    }
    if (flags & OPERATION_START)
        walk->regions_left = 0;
    if (length == 0 || flags & (OPERATION_START | OPERATION_COMMIT | OPERATION_UNMOUNT))
        return true;
    if (walk->regions_left > 0) {
        walk->regions_left--;
        return true;
    }
    return is_transaction_header(walk, region, length) ||
           judge_item(walk, region, length, what, error);
}

bool xfs_record_find_change(const XfsRecord *record, const uint8_t *raw, char **what,
                            GError **error)
{
    const uint8_t *data = raw + record->header_blocks * BLOCK_BYTES;
    uint32_t left = record->data_bytes;
    Walk walk = {0};

    *what = NULL;
    for (uint32_t i = 0; i < record->operations && !*what; i++) {
        if (left < OPERATION_BYTES)
            return fail(error, "a log record's operations exceed it");
        uint32_t length = disk_field_be32(data + 4);
        if (length > left - OPERATION_BYTES)
            return fail(error, "an operation exceeds its log record");
        if (!judge_operation(&walk, data[9], data + OPERATION_BYTES, length, what, error))
            return false;
        data += OPERATION_BYTES + length;
        left -= OPERATION_BYTES + length;
    }
    return true;
}
