/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/filesystem-state.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What the filesystems on a guest's disks looked like, reading after reading. Pure. */
typedef enum {
    DISK_PHASE_BEFORE, /* before the freeze was asked for */
    DISK_PHASE_HOLD,   /* from the freeze's reply to the thaw's request */
    DISK_PHASES,
} DiskPhase;

/* All readings of one phase together: in use if one of them said so, or if in the hold the
 * generation changed from one exact reading to the next, else unknown if one did. */
typedef struct {
    unsigned readings;
    DiskState state;
    char *because; /* of the reading that decided; NULL without one */
    char *remedy;  /* of the same; may be NULL */
    bool changed;  /* between readings */
    uint64_t first_generation;
    uint64_t last_generation;
} DiskPhaseSummary;

typedef struct {
    char *volume;
    char *fs_type; /* NULL when not even that is known */
    char *uuid;    /* NULL */
    DiskPhaseSummary phases[DISK_PHASES];
} DiskTrack;

typedef struct {
    GPtrArray *tracks; /* of DiskTrack, in the order found */
    bool may_lag;      /* not read from QEMU itself: a reading may be older than the freeze */
    unsigned readings[DISK_PHASES];
} DiskHistory;

DiskHistory *disk_history_new(void);
void disk_history_free(DiskHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskHistory, disk_history_free)

/* states: of FilesystemState, as filesystem_states_read() returns them. */
void disk_history_add(DiskHistory *history, DiskPhase phase, const GPtrArray *states);

/* Whether each filesystem was seen in use: no further reading of this phase can add to that. */
bool disk_history_all_in_use(const DiskHistory *history, DiskPhase phase);
/* In use before the freeze, quiet in each reading of the hold: the freeze did that. */
bool disk_track_went_quiet(const DiskTrack *track);
