/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <string.h>

/*
 * Integers out of bytes of a disk, at any alignment: le is little-endian (ext, btrfs), be is
 * big-endian (xfs, jbd2). The caller has made sure that the bytes are there.
 */
static inline uint16_t disk_field_le16(const void *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return GUINT16_FROM_LE(value);
}

static inline uint32_t disk_field_le32(const void *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return GUINT32_FROM_LE(value);
}

static inline uint64_t disk_field_le64(const void *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return GUINT64_FROM_LE(value);
}

static inline uint16_t disk_field_be16(const void *at)
{
    return GUINT16_SWAP_LE_BE(disk_field_le16(at));
}

static inline uint32_t disk_field_be32(const void *at)
{
    return GUINT32_SWAP_LE_BE(disk_field_le32(at));
}

static inline uint64_t disk_field_be64(const void *at)
{
    return GUINT64_SWAP_LE_BE(disk_field_le64(at));
}
