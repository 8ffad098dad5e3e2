/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/md-member.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The md arrays whose members were found so far. */
typedef struct MdArrays MdArrays;

MdArrays *md_arrays_new(void);
void md_arrays_free(MdArrays *arrays);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MdArrays, md_arrays_free)

/* One more member: bytes as found on disk. False with PROBE_ERROR_DISK when its superblock is of no
 * use. */
bool md_arrays_add(MdArrays *arrays, const char *disk, DiskBytes *bytes, uint64_t superblock_offset,
                   GError **error);
/* Of StackedVolume: each array whose members have come since the last call, once. Of a RAID 1 the
 * active member with the most events is taken. */
GPtrArray *md_arrays_assemble(MdArrays *arrays);
