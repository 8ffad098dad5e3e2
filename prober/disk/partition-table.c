/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/partition-table.h"
#include "prober/disk/disk-field.h"

#include <string.h>

#define SECTOR_BYTES 512u
#define MBR_ENTRIES_OFFSET 446
#define MBR_ENTRY_BYTES 16
#define MBR_ENTRIES 4
#define MBR_SIGNATURE_OFFSET 510
/* As many as libblkid follows, and Linux. */
#define MAX_EXTENDED_RECORDS PARTITION_TABLE_MAX
#define GPT_MAX_ENTRIES_BYTES (64u * 1024)

/* ---- what libblkid is going to look at ---- */

/* The first sector, in units of 512 bytes, of the extended partition or of the next link in the
 * chain that a boot record names; 0: none. Source: the table of partition types in Linux,
 * include/linux/msdos_partition.h. */
static uint32_t find_extended(const uint8_t *record)
{
    if (record[MBR_SIGNATURE_OFFSET] != 0x55 || record[MBR_SIGNATURE_OFFSET + 1] != 0xaa)
        return 0;
    for (unsigned i = 0; i < MBR_ENTRIES; i++) {
        const uint8_t *entry = record + MBR_ENTRIES_OFFSET + i * MBR_ENTRY_BYTES;
        uint8_t type = entry[4];
        if (type == 0x05 || type == 0x0f || type == 0x85)
            return disk_field_le32(entry + 8);
    }
    return 0;
}

/* Logical partitions are a chain of boot records; one that bites its tail is followed once. */
static bool show_extended_records(VolumeWindow *window, GError **error)
{
    uint8_t record[SECTOR_BYTES];
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

    if (!volume_window_read(window, 0, record, sizeof record))
        return true;
    uint64_t first = find_extended(record);
    uint64_t sector = first;
    for (unsigned i = 0; i < MAX_EXTENDED_RECORDS && sector > 0; i++) {
        uint64_t offset = sector * SECTOR_BYTES;
        if (!g_hash_table_add(seen, GSIZE_TO_POINTER(sector)) ||
            offset + SECTOR_BYTES > volume_window_size(window))
            return true;
        if (!volume_window_copy(window, offset, SECTOR_BYTES, error))
            return false;
        if (!volume_window_read(window, offset, record, sizeof record))
            return true;
        uint64_t link = find_extended(record);
        sector = link > 0 ? first + link : 0;
    }
    return true;
}

/* The entries stand where the header says, mostly right behind it. */
static bool show_gpt_entries(VolumeWindow *window, uint64_t header_offset, unsigned sector_bytes,
                             GError **error)
{
    uint8_t header[SECTOR_BYTES];

    if (!volume_window_read(window, header_offset, header, sizeof header) ||
        memcmp(header, "EFI PART", 8) != 0)
        return true;
    uint64_t first = disk_field_le64(header + 72);
    uint64_t bytes = (uint64_t)disk_field_le32(header + 80) * disk_field_le32(header + 84);
    if (first > volume_window_size(window) / sector_bytes || bytes > GPT_MAX_ENTRIES_BYTES)
        return true;
    return volume_window_copy(window, first * sector_bytes, bytes, error);
}

static bool show_gpt(VolumeWindow *window, unsigned sector_bytes, GError **error)
{
    uint64_t sectors = volume_window_size(window) / sector_bytes;

    if (sectors < 3)
        return true;
    return show_gpt_entries(window, sector_bytes, sector_bytes, error) &&
           show_gpt_entries(window, (sectors - 1) * sector_bytes, sector_bytes, error);
}

/* ---- what it says ---- */

static void take_partition(GArray *partitions, blkid_partition found, uint64_t disk_size)
{
    int64_t start = blkid_partition_get_start(found);
    int64_t size = blkid_partition_get_size(found);
    int number = blkid_partition_get_partno(found);

    if (blkid_partition_is_extended(found) || start <= 0 || size <= 0 || number <= 0 ||
        (uint64_t)start >= disk_size / SECTOR_BYTES || partitions->len >= PARTITION_TABLE_MAX)
        return;
    Partition partition = {
        .number = (unsigned)number,
        .offset = (uint64_t)start * SECTOR_BYTES,
        .size = MIN((uint64_t)size, disk_size / SECTOR_BYTES) * SECTOR_BYTES,
    };
    g_array_append_val(partitions, partition);
}

static bool read_table(VolumeWindow *window, unsigned sector_bytes, GArray *partitions,
                       GError **error)
{
    g_auto(blkid_probe) probe = volume_window_probe(window, error);

    if (!probe)
        return false;
    blkid_probe_set_sectorsize(probe, sector_bytes);
    blkid_probe_enable_partitions(probe, 1);
    blkid_partlist found = blkid_probe_get_partitions(probe);
    int count = found ? blkid_partlist_numof_partitions(found) : 0;
    for (int i = 0; i < count; i++)
        take_partition(partitions, blkid_partlist_get_partition(found, i),
                       volume_window_size(window));
    return true;
}

GArray *partition_table_read(VolumeWindow *window, GError **error)
{
    static const unsigned sector_sizes[] = {512, 4096};
    g_autoptr(GArray) partitions = g_array_new(FALSE, FALSE, sizeof(Partition));

    if (!show_extended_records(window, error))
        return NULL;
    /* Nothing tells the sector size of a disk in a file; only one of them gives a table. */
    for (unsigned i = 0; i < G_N_ELEMENTS(sector_sizes) && partitions->len == 0; i++) {
        if (!show_gpt(window, sector_sizes[i], error) ||
            !read_table(window, sector_sizes[i], partitions, error))
            return NULL;
    }
    return g_steal_pointer(&partitions);
}
