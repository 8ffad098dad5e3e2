/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/btrfs-devices.h"

#include "prober/disk/disk-field.h"
#include "prober/disk/filesystem-state.h"

#define SYSTEM_CHUNKS_AT 811
#define SYSTEM_CHUNKS_MAX 2048u
#define KEY_BYTES 17
#define CHUNK_BYTES 48
#define STRIPE_BYTES 32
#define STRIPED_OR_PARITY (0x8 | 0x40 | 0x80 | 0x100) /* RAID0, 10, 5, 6: no stripe has it all */
#define NODE_BYTES_MAX 65536u
#define NODE_HEADER_BYTES 101
#define LEVEL_MAX 8
#define ITEM_BYTES 25
#define DEVICES_OBJECT 1
#define DEVICE_ITEM 216
#define DEVICE_UUID_AT 66
#define DEVICE_ITEM_BYTES 98

/* Where a logical address lies on the device, by the chunks that the superblock lists itself. */
static bool find_physical(const BtrfsSuperblock *superblock, uint64_t logical, uint64_t *physical)
{
    const uint8_t *at = superblock->raw + SYSTEM_CHUNKS_AT;
    uint32_t left = MIN(disk_field_le32(superblock->raw + 160), SYSTEM_CHUNKS_MAX);

    while (left >= KEY_BYTES + CHUNK_BYTES) {
        const uint8_t *chunk = at + KEY_BYTES;
        uint64_t start = disk_field_le64(at + 9), length = disk_field_le64(chunk);
        uint32_t stripes = disk_field_le16(chunk + 44);
        uint32_t total = KEY_BYTES + CHUNK_BYTES + stripes * STRIPE_BYTES;
        if (total > left)
            return false;
        for (uint32_t i = 0; i < stripes; i++) {
            const uint8_t *stripe = chunk + CHUNK_BYTES + i * STRIPE_BYTES;
            if (logical < start || logical - start >= length ||
                disk_field_le64(chunk + 24) & STRIPED_OR_PARITY ||
                disk_field_le64(stripe) != superblock->device)
                continue;
            *physical = disk_field_le64(stripe + 8) + (logical - start);
            return true;
        }
        at += total;
        left -= total;
    }
    return false;
}

static bool read_node(DiskBytes *bytes, const BtrfsSuperblock *superblock, uint64_t logical,
                      uint8_t *node, uint32_t node_bytes)
{
    uint64_t physical;

    return find_physical(superblock, logical, &physical) && physical <= INT64_MAX &&
           disk_bytes_read(bytes, physical, node, node_bytes, NULL) &&
           disk_field_le64(node + 48) == logical;
}

/* The chunk tree's first leaf: devices sort before chunks. NULL when it cannot be read here. */
static uint8_t *read_first_leaf(DiskBytes *bytes, const BtrfsSuperblock *superblock,
                                uint32_t *node_bytes)
{
    uint64_t logical = disk_field_le64(superblock->raw + 88);
    g_autofree uint8_t *node = NULL;

    *node_bytes = disk_field_le32(superblock->raw + 148);
    if (*node_bytes < 4096 || *node_bytes > NODE_BYTES_MAX)
        return NULL;
    node = g_malloc(*node_bytes);
    for (int level = 0; level <= LEVEL_MAX; level++) {
        if (!read_node(bytes, superblock, logical, node, *node_bytes) ||
            disk_field_le32(node + 96) == 0)
            return NULL;
        if (node[100] == 0)
            return g_steal_pointer(&node);
        logical = disk_field_le64(node + NODE_HEADER_BYTES + KEY_BYTES);
    }
    return NULL;
}

static bool is_present(const GPtrArray *present, uint64_t device)
{
    for (unsigned i = 0; i < present->len; i++) {
        const BtrfsSuperblock *superblock = g_ptr_array_index(present, i);
        if (superblock->device == device)
            return true;
    }
    return false;
}

static void add_if_missing(GString *names, const uint8_t *device, const GPtrArray *present)
{
    uint64_t number = disk_field_le64(device);
    g_autofree char *uuid = NULL;

    if (is_present(present, number))
        return;
    uuid = filesystem_state_format_uuid(device + DEVICE_UUID_AT);
    g_string_append_printf(names, "%sdevice %" G_GUINT64_FORMAT " (%s)", names->len ? ", " : "",
                           number, uuid ? uuid : "no UUID");
}

char *btrfs_devices_describe_missing(DiskBytes *bytes, const BtrfsSuperblock *superblock,
                                     const GPtrArray *present)
{
    uint32_t node_bytes;
    g_autofree uint8_t *leaf = read_first_leaf(bytes, superblock, &node_bytes);
    g_autoptr(GString) names = g_string_new(NULL);
    uint32_t items = leaf ? disk_field_le32(leaf + 96) : 0;

    items = MIN(items, leaf ? (node_bytes - NODE_HEADER_BYTES) / ITEM_BYTES : 0);
    for (uint32_t i = 0; i < items; i++) {
        const uint8_t *item = leaf + NODE_HEADER_BYTES + i * ITEM_BYTES;
        uint64_t at = (uint64_t)NODE_HEADER_BYTES + disk_field_le32(item + KEY_BYTES);
        if (disk_field_le64(item) != DEVICES_OBJECT || item[8] != DEVICE_ITEM)
            break;
        if (at + DEVICE_ITEM_BYTES <= node_bytes)
            add_if_missing(names, leaf + at, present);
    }
    if (names->len > 0)
        return g_strdup(names->str);
    return g_strdup_printf("%" G_GUINT64_FORMAT, superblock->devices > present->len
                                                     ? superblock->devices - present->len
                                                     : 0);
}
