/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/guest-filesystems.h"
#include "prober/guest-window.h"

#include <stdbool.h>

/*
 * What a freeze left out, as far as the guest's own lists tell. Pure. A doubt always counts as
 * "left out": it may cost a verdict its certainty, never make it wrong.
 */
typedef struct {
    bool known;         /* the guest lists its filesystems, or the caller named the ones it wants */
    unsigned expected;  /* how many should have been frozen */
    unsigned uncovered; /* how many of these were not, without the agent giving a reason */
    char *uncovered_names; /* as far as they can be told; NULL when not */

    /* Disks, by the addresses in guest-get-fsinfo. */
    bool everything;         /* no filesystem that may be written to was left out */
    unsigned disks_touched;  /* disks with at least one frozen filesystem */
    unsigned disks_all_ours; /* disks with frozen (or unwritable) filesystems only */
} FreezeCoverage;

/* guest is NULL when the guest does not list its filesystems; requested is NULL for "everything",
 * else a NULL-terminated list of mount points. */
FreezeCoverage *freeze_coverage_new(const GuestFilesystems *guest, const GuestWindow *window,
                                    const char *const *requested);
/* Whether the freeze covers this filesystem of the guest's list, going by all that was said. */
bool freeze_coverage_includes(const FreezeCoverage *coverage, const GuestFilesystem *filesystem,
                              const GuestWindow *window, const char *const *requested);
void freeze_coverage_free(FreezeCoverage *coverage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezeCoverage, freeze_coverage_free)
