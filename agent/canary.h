/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/freeze-plan.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Writers that show from inside the guest whether a freeze holds: one per filesystem, each stamping
 * a 4 KiB write with the time every CANARY_INTERVAL_MS into an unlinked temporary file. They live
 * in a process of their own, since a write to a frozen filesystem sleeps until the thaw.
 *
 * Moments are microseconds of CLOCK_BOOTTIME, as on the freeze board.
 */
#define CANARY_INTERVAL_MS 10
/* Every so many writes one is flushed, so that the disk's own counters move too. */
#define CANARY_FLUSH_EVERY 10
/* A writer ends with ENOSPC rather than take a filesystem's last space: where blocks are never
 * written in place, each write takes some for a while. */
#define CANARY_MIN_FREE_BYTES (1024 * 1024)

typedef struct Canary Canary;

/* What one writer saw of a window. */
typedef struct {
    uint64_t writes_before; /* ended before the filesystem was frozen */
    uint64_t writes_during; /* begun after it was frozen and ended before its thaw was begun */
    uint64_t writes_after;  /* ended after the thaw was begun */
    int64_t last_write_at;  /* when the newest ended; 0: there is none */
    int64_t longest_gap_us; /* between two writes' ends, over the writer's whole life */
    int64_t gap_start_at;
    int64_t gap_end_at;
    char *error; /* NULL, or why there is no (further) writing; names the mount point; owned by the
                    report */
} CanaryReport;

/* Forks the writers, one per target. */
Canary *canary_start(const FreezePlan *plan, GError **error);
/* Ends them; what they have written can still be asked for. */
void canary_halt(Canary *canary);
/* Ends and frees them; a writer that sleeps on a frozen filesystem ends with the thaw. */
void canary_stop(Canary *canary);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Canary, canary_stop)

/* True when every writer has written at least writes times since a moment, or has failed. */
bool canary_has_written(const Canary *canary, unsigned writes, int64_t since);

/* frozen_at and thaw_began_at: of the target's slot; 0 when that never came to pass. */
void canary_report(const Canary *canary, unsigned target, int64_t frozen_at, int64_t thaw_began_at,
                   CanaryReport *report);
