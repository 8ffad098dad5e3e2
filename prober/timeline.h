/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-watch.h"
#include "prober/guest-window.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What happened when, as lanes beside each other: numbers for a drawing (prober/draw-timeline.h).
 * All times are microseconds after the freeze's request or, if nothing was frozen, after the first
 * sample of the counters. Pure.
 *
 * The guest's own moments (quiesced's frozen-at-us) are those of another clock. They are laid on
 * the host's by taking the last filesystem's freeze for the moment of the freeze's reply, and never
 * beyond what the host saw itself.
 */
#define TIMELINE_MAX_LANES 32 /* of each kind */

typedef enum { TIMELINE_PRESYNC, TIMELINE_FREEZE, TIMELINE_HOLD, TIMELINE_THAW } TimelineStage;
#define TIMELINE_STAGES 4

typedef struct {
    TimelineStage stage;
    int64_t from_us;
    int64_t to_us;
} TimelineSpan;

typedef struct {
    char *name;
    char *detail;  /* the numbers, in words */
    GArray *spans; /* of TimelineSpan */
    GArray *dots;  /* of int64_t: completed writes of the canary */
} TimelineLane;

typedef struct {
    bool has_window; /* there was a freeze: the next three hold */
    int64_t frozen_us;
    int64_t thaw_us;
    int64_t thawed_us;

    int64_t begin_us; /* what is shown: from here... */
    int64_t end_us;   /* ...to here */
    int64_t zero_us;  /* the zero on the host's monotonic clock */

    GPtrArray *filesystems; /* of TimelineLane; the first is the whole guest as the host saw it */
    unsigned filesystems_left_out;
    const GPtrArray *devices; /* of DeviceActivity, borrowed; may be NULL */
    unsigned devices_left_out;
} Timeline;

/* watch may be NULL, canaries too (of CanaryRecord). NULL when there is nothing to show. */
Timeline *timeline_new(const GuestWindow *window, const CounterWatch *watch,
                       const GPtrArray *canaries);
void timeline_free(Timeline *timeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Timeline, timeline_free)

/* "pre-sync", "freeze", "hold", "thaw" */
const char *timeline_stage_name(TimelineStage stage);
