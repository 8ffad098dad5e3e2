/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-watch.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The hypervisor's write counters with their times, for who learns only afterwards which moments
 * matter. Bounded: what no longer fits is not taken, and said so. Pure. All times are the host's
 * monotonic clock in microseconds.
 */
typedef struct ActivityLog ActivityLog;

/* Counters of one device in one sample; 64 MiB of them are four disks for more than a day. */
#define ACTIVITY_LOG_MAX_CELLS (4u * 1024 * 1024)

ActivityLog *activity_log_new(void);
void activity_log_free(ActivityLog *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ActivityLog, activity_log_free)

/* The counters were read at some moment between asked_us and answered_us. False when it is full. */
bool activity_log_add(ActivityLog *log, int64_t asked_us, int64_t answered_us,
                      const GArray *sample);
unsigned activity_log_samples(const ActivityLog *log);

/* A freeze as far as its moments are known. */
typedef struct {
    int64_t freeze_us; /* nothing was frozen before */
    int64_t frozen_us; /* from here on everything was... */
    int64_t thaw_us;   /* ...until here */
    int64_t thawed_us; /* nothing was frozen after */
} ActivityWindow;

/* What was written before, in and after the window. An interval between two samples that may lie
 * across one of its limits counts as COUNTER_PHASE_FREEZING, which proves nothing. Without a window
 * all of it is before. */
CounterWatch *activity_log_cut(const ActivityLog *log, const ActivityWindow *window);

/* How one device wrote all the while. */
typedef struct {
    char *name;
    unsigned intervals;       /* between two samples */
    unsigned moved;           /* those with writes */
    int64_t longest_pause_us; /* no pause between two writes, nor one at either end, was longer */
} ActivityRhythm;

/* Of ActivityRhythm. */
GPtrArray *activity_log_rhythms(const ActivityLog *log);
void activity_rhythm_free(ActivityRhythm *rhythm);

/* From one moment to another nothing was written, for certain. */
typedef struct {
    int64_t from_us;
    int64_t to_us;
} ActivityStill;

/* A device takes part in the search for stills when it wrote in this share of all intervals: others
 * pause by themselves. */
#define ACTIVITY_BUSY_SHARE 0.2
/* What such a device would have written in, going by its share, before its pause is no accident. */
#define ACTIVITY_MIN_EXPECTED 3.0

bool activity_rhythm_is_busy(const ActivityRhythm *rhythm);

/* When all busy devices stood still at once, for so long that it is no accident in the least busy
 * of them: a GArray of ActivityStill, oldest first. */
GArray *activity_log_stills(const ActivityLog *log);
