/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The superblock of one member of an md array, in the formats 0.90, 1.0, 1.1 and 1.2.
 * Source: Linux, include/uapi/linux/raid/md_p.h; the checksums: drivers/md/md.c, calc_sb_csum()
 * and calc_sb_1_csum().
 */
typedef struct {
    uint8_t array_uuid[16];
    char *name;           /* "md0", "md/data" */
    int32_t level;        /* 1: RAID 1; 0, 4, 5, 6, 10; -1: linear */
    uint32_t raid_disks;  /* devices that the array wants */
    uint64_t data_offset; /* where the array's data begin on this member, in bytes */
    uint64_t data_size;   /* of the array, in bytes; meaningful for RAID 1 and single devices */
    uint64_t events;      /* grows with each change of the array: a member left behind has less */
    bool active;          /* neither spare nor faulty, nor still being rebuilt */
    bool reshaping;
} MdMember;

/* superblock_offset: where libblkid found the magic number. NULL with PROBE_ERROR_DISK when it
 * cannot be read, is damaged, or contradicts the volume's size. */
MdMember *md_member_read(DiskBytes *bytes, uint64_t superblock_offset, GError **error);
void md_member_free(MdMember *member);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MdMember, md_member_free)

/* Whether this member alone tells everything that the array holds. */
bool md_member_is_whole(const MdMember *member);
/* "RAID 5" and the like; static. */
const char *md_member_level_name(const MdMember *member);
