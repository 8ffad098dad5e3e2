/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/activity-log.h"
#include "prober/evidence.h"
#include "prober/guest-clock.h"
#include "prober/guest-window.h"
#include "prober/history-record.h"
#include "prober/verdict.h"

#include <glib.h>
#include <json-c/json.h>

/*
 * A freeze that somebody else made while we watched: what the agent's history tells of it, or what
 * its answers to repeated questions amount to. Pure. The agent's word, all of it, but for activity.
 */
typedef struct {
    char *command;        /* that froze; NULL: not told */
    char *thaw_command;   /* that thawed; NULL: not told, or no host did */
    int64_t began_at_us;  /* this and the next two by the guest's clock, since 1970; 0: not told */
    int64_t frozen_at_us; /* all was frozen */
    int64_t thawed_at_us; /* the thaw was through */
    double held_ms;       /* negative: not told */
    HistoryEnd end;
    char *reason;        /* why it is not intact; NULL */
    GuestWindow *window; /* its filesystems, what their writers saw, what it did not cover */
    HookOutcome hooks;
    bool placed;            /* when holds */
    ActivityWindow when;    /* by the host's monotonic clock */
    CounterWatch *activity; /* what the disks did; NULL: not known */
} ObservedFreeze;

void observed_freeze_free(ObservedFreeze *freeze);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ObservedFreeze, observed_freeze_free)

/* Whether all filesystems concerned were frozen at some time. */
bool observed_freeze_held(const ObservedFreeze *freeze);

/* The windows of quiesce-history's reply `after` that are not in `before`, an earlier one; where
 * that is NULL, those that did not begin before since_us by the guest's clock. A GPtrArray of
 * ObservedFreeze, oldest first. */
GPtrArray *observed_freezes_new(json_object *before, json_object *after, int64_t since_us);

/* Finds the freeze's place on the host's clock, where the clocks allow. */
void observed_freeze_place(ObservedFreeze *freeze, const GuestClock *clock);

/* Clocks that differ by more than this are of no use. */
#define OBSERVED_FREEZE_MAX_SLACK_US (500 * 1000)

/* The same from answers (GArray of StatusAnswer): each run of "frozen". Who froze, and how much, is
 * not known then. */
GPtrArray *observed_freezes_from_answers(const GArray *answers);
