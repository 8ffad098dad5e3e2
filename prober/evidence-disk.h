/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk-history.h"
#include "prober/evidence.h"
#include "prober/freeze-coverage.h"

#include <glib.h>

/*
 * What the filesystems' own metadata say, as they stand on the disks. Pure.
 *
 * Of an image alone (inspect): against, when a filesystem was in use; for, when everything on it
 * that can be frozen could be read and is quiet, at least one filesystem. Whether by a freeze or
 * because it was not mounted cannot always be told; the bytes are as consistent either way.
 */

/* states: of FilesystemState. */
Evidence *evidence_disk_judge_image(const GPtrArray *states);

/*
 * Of a running guest (verify): against, when a filesystem that the agent claims to have frozen was
 * in use during the hold; for, when each of them was in use before the freeze and quiet in the
 * hold, and the same in each reading of it, for quiet ones there are in any guest that writes
 * little, and nothing frozen changes. The claimed ones are found by
 * their UUIDs. Where the agent tells none, they are counted by type: as many filesystems of a type
 * may be in use as there are on the disks beyond the claimed ones.
 */
typedef struct {
    const DiskHistory *history; /* NULL: no disk could be read; unavailable and remedy tell */
    const char *unavailable;
    const char *remedy; /* may be NULL */
    const char *unread; /* what of the guest's disks could not be read; NULL: nothing */
    const char *lost;   /* why reading ended before the hold did; NULL: it did not */
} DiskFindings;

/* What the agent claims, and what is known of the guest. */
typedef struct {
    const GuestWindow *window;
    const GuestFilesystems *guest; /* NULL: it does not list its filesystems */
    const FreezeCoverage *coverage;
    const char *const *requested; /* mount points; NULL: everything */
} DiskClaim;

/*
 * Of a snapshot, taken while the agent claimed a freeze: as of an image alone, but for only when
 * all that it claims is among the states, and at least one of these could be neither just idle nor
 * unmounted: an agent that lies in an idle guest must not be believed. Claimed ones are found
 * by their UUIDs, else counted by type. states: of FilesystemState.
 */
Evidence *evidence_disk_judge_snapshot(const GPtrArray *states, const DiskClaim *claim);

Evidence *evidence_disk_judge(const DiskFindings *findings, const DiskClaim *claim);
