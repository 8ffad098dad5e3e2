/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sparse-disk.h"

#include <string.h>

typedef struct {
    uint8_t *records;
    size_t count;
} SparseDisk;

static uint32_t number_at(const uint8_t *bytes)
{
    uint32_t number;

    memcpy(&number, bytes, sizeof number);
    return GUINT32_FROM_LE(number);
}

static bool sparse_disk_read(void *data, uint64_t offset, void *buffer, size_t length,
                             GError **error)
{
    const SparseDisk *disk = data;

    memset(buffer, 0, length);
    for (size_t i = 0; i < disk->count; i++) {
        const uint8_t *record = disk->records + i * SPARSE_DISK_RECORD_BYTES;
        uint64_t start = (uint64_t)number_at(record) * SPARSE_DISK_SECTOR_BYTES;
        uint64_t from = MAX(start, offset);
        uint64_t to = MIN(start + SPARSE_DISK_SECTOR_BYTES, offset + length);
        if (from < to)
            memcpy((uint8_t *)buffer + (from - offset), record + 4 + (from - start), to - from);
    }
    return true;
}

static void sparse_disk_free(void *data)
{
    SparseDisk *disk = data;

    g_free(disk->records);
    g_free(disk);
}

DiskBytes *sparse_disk_new(const uint8_t *input, size_t length)
{
    if (length < 4)
        return NULL;
    SparseDisk *disk = g_new0(SparseDisk, 1);
    disk->records = g_memdup2(input + 4, length - 4);
    disk->count = (length - 4) / SPARSE_DISK_RECORD_BYTES;
    return disk_bytes_new((uint64_t)number_at(input) * 1024, sparse_disk_read, disk,
                          sparse_disk_free);
}
