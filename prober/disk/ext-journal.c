/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/ext-journal.h"

#include "prober/disk/crc32c.h"
#include "prober/disk/disk-field.h"
#include "prober/probe-error.h"

#define INCOMPAT_64BIT 0x80
#define INODE_USES_EXTENTS 0x80000
#define EXTENT_MAGIC 0xf30a
#define EXTENT_NODE_HEADER 12
#define EXTENT_DEPTH_MAX 5
#define INODE_MAP_LENGTH 60 /* of i_block: block numbers, or the root of the extents' tree */
#define JBD2_MAGIC 0xc03b3998u
#define JBD2_LENGTH 1024
#define JBD2_SUPERBLOCK_V1 3
#define JBD2_SUPERBLOCK_V2 4
#define JBD2_INCOMPAT_CSUM_V2_OR_V3 0x18
#define JBD2_CHECKSUM_AT 0xfc

static bool fail(GError **error, const char *what)
{
    g_set_error_literal(error, PROBE_ERROR, PROBE_ERROR_DISK, what);
    return false;
}

/* Reads bytes of a block; the multiplication cannot overflow, since no disk has 2^52 blocks. */
static bool read_in_block(DiskBytes *bytes, uint32_t block_bytes, uint64_t block, uint64_t offset,
                          void *buffer, size_t length, GError **error)
{
    if (block >= disk_bytes_size(bytes) / block_bytes)
        return fail(error, "a block number in it lies beyond the end of the volume");
    return disk_bytes_read(bytes, block * block_bytes + offset, buffer, length, error);
}

static bool read_inode_map(DiskBytes *bytes, const uint8_t *superblock, uint32_t block_bytes,
                           uint8_t *map, uint32_t *flags, GError **error)
{
    uint32_t number = disk_field_le32(superblock + 0xe0);
    uint32_t inodes_per_group = disk_field_le32(superblock + 0x28);
    uint16_t inode_bytes =
        disk_field_le32(superblock + 0x4c) == 0 ? 128 : disk_field_le16(superblock + 0x58);
    bool wide = disk_field_le32(superblock + 0x60) & INCOMPAT_64BIT;
    uint64_t descriptors_block = (uint64_t)disk_field_le32(superblock + 0x14) + 1;
    uint8_t descriptor[64], inode[0x28 + INODE_MAP_LENGTH];

    /* Inode 8 is the journal; e2fsprogs makes it no other, and it lies in the first group. */
    if (number > inodes_per_group || inode_bytes < 128)
        return fail(error, "the journal's inode lies outside of the first block group");
    if (!read_in_block(bytes, block_bytes, descriptors_block, 0, descriptor, sizeof descriptor,
                       error))
        return false;
    uint64_t table = disk_field_le32(descriptor + 0x08);
    if (wide)
        table |= (uint64_t)disk_field_le32(descriptor + 0x28) << 32;
    if (!read_in_block(bytes, block_bytes, table, (uint64_t)(number - 1) * inode_bytes, inode,
                       sizeof inode, error))
        return false;
    *flags = disk_field_le32(inode + 0x20);
    memcpy(map, inode + 0x28, INODE_MAP_LENGTH);
    return true;
}

/* The first block of a file, for whose tree of extents node is the root. */
static bool follow_extents(DiskBytes *bytes, uint32_t block_bytes, const uint8_t *root,
                           uint64_t *block, GError **error)
{
    uint8_t node[EXTENT_NODE_HEADER + 12];

    memcpy(node, root, sizeof node);
    for (int level = 0; level <= EXTENT_DEPTH_MAX; level++) {
        const uint8_t *first = node + EXTENT_NODE_HEADER;
        if (disk_field_le16(node) != EXTENT_MAGIC || disk_field_le16(node + 2) == 0)
            return fail(error, "the journal's extents are damaged");
        if (disk_field_le16(node + 6) == 0) {
            *block = (uint64_t)disk_field_le16(first + 6) << 32 | disk_field_le32(first + 8);
            return true;
        }
        *block = (uint64_t)disk_field_le16(first + 8) << 32 | disk_field_le32(first + 4);
        if (!read_in_block(bytes, block_bytes, *block, 0, node, sizeof node, error))
            return false;
    }
    return fail(error, "the journal's extents are nested too deeply");
}

static bool parse_journal(uint8_t *superblock, ExtJournal *journal, GError **error)
{
    uint32_t type = disk_field_be32(superblock + 0x04);

    if (disk_field_be32(superblock) != JBD2_MAGIC ||
        (type != JBD2_SUPERBLOCK_V1 && type != JBD2_SUPERBLOCK_V2))
        return fail(error, "the journal's superblock has no magic number");
    journal->sequence = disk_field_be32(superblock + 0x18);
    journal->start = disk_field_be32(superblock + 0x1c);
    journal->error = (int32_t)disk_field_be32(superblock + 0x20);
    if (type == JBD2_SUPERBLOCK_V2 &&
        disk_field_be32(superblock + 0x28) & JBD2_INCOMPAT_CSUM_V2_OR_V3) {
        uint32_t stored = disk_field_be32(superblock + JBD2_CHECKSUM_AT);
        memset(superblock + JBD2_CHECKSUM_AT, 0, sizeof stored);
        if (crc32c(CRC32C_START, superblock, JBD2_LENGTH) != stored)
            return fail(error, "the checksum of the journal's superblock is wrong");
    }
    return true;
}

bool ext_journal_read(DiskBytes *bytes, const uint8_t *ext_superblock, ExtJournal *journal,
                      GError **error)
{
    uint32_t block_bytes = 1024u << (disk_field_le32(ext_superblock + 0x18) & 7);
    uint8_t map[INODE_MAP_LENGTH], superblock[JBD2_LENGTH];
    uint32_t flags;
    uint64_t block;

    if (disk_field_le32(ext_superblock + 0x18) > 6)
        return fail(error, "the block size is impossible");
    if (!read_inode_map(bytes, ext_superblock, block_bytes, map, &flags, error))
        return false;
    if (!(flags & INODE_USES_EXTENTS))
        block = disk_field_le32(map);
    else if (!follow_extents(bytes, block_bytes, map, &block, error))
        return false;
    return read_in_block(bytes, block_bytes, block, 0, superblock, sizeof superblock, error) &&
           parse_journal(superblock, journal, error);
}
