/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>

/*
 * LVM2 volume groups, put together from physical volumes. Logical volumes of linear segments can be
 * read; everything else that LVM knows (stripes, thin, RAID, cache, snapshots) is named, with why
 * it cannot be looked into. Source: lvmsystemid and vgcfgbackup(8) texts; lvm2, lib/format_text.
 */
typedef struct LvmGroups LvmGroups;

LvmGroups *lvm_groups_new(void);
void lvm_groups_free(LvmGroups *groups);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LvmGroups, lvm_groups_free)

/* One more physical volume. name: for people, when it turns out to belong to no group. False with
 * PROBE_ERROR_DISK when its label cannot be read. */
bool lvm_groups_add(LvmGroups *groups, const char *name, const char *disk, DiskBytes *bytes,
                    GError **error);
/* Of StackedVolume: the logical volumes of the groups whose physical volumes are all there; each
 * once. */
GPtrArray *lvm_groups_activate(LvmGroups *groups);
/* The same of the groups of which a part has not come. Lastly the physical volumes of no group. */
GPtrArray *lvm_groups_activate_partial(LvmGroups *groups);

#define LVM_GROUPS_MAX_SEGMENTS 65536u
