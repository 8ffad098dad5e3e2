/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/activity-log.h"
#include "prober/agent-profile.h"
#include "prober/command-run.h"
#include "prober/guest-filesystems.h"
#include "prober/interrupt.h"
#include "prober/options.h"
#include "prober/progress.h"
#include "prober/watch-judgement.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Watches a guest that somebody else may freeze: its write counters all the time, its agent before
 * and after. The agent's port takes one client at a time, and who freezes needs it: in between it
 * is left alone, but for one short question a second where nothing else is to be had (an agent
 * without a history) and nobody can be in need of it (no command runs, or libvirt shares it out).
 */
typedef struct {
    AgentProfile *profile;     /* NULL: nobody answered */
    GuestFilesystems *guest;   /* NULL: the guest does not tell */
    ActivityLog *activity;     /* NULL: there were no counters */
    GPtrArray *freezes;        /* of ObservedFreeze */
    WatchJudgement *judgement; /* NULL: none, failure says why */
    bool frozen_at_end;
    bool command_ran;
    CommandEnd command_end; /* with command_ran */
    int64_t began_us;       /* monotonic; so are the times in activity and freezes */
    int64_t ended_us;
    int64_t real_time_us; /* what is to be added for the host's time since 1970 */
    char *failure;        /* NULL: nothing went wrong on the way */
} WatchReport;

/* Never fails: what goes wrong is in the report. progress may be NULL. */
WatchReport *watch_run(const Options *options, Interrupt *interrupt, Progress *progress);
void watch_report_free(WatchReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WatchReport, watch_report_free)

/* 0 FROZEN, 1 NOT FROZEN, 2 UNPROVEN, 3 could not watch. */
int watch_report_exit_status(const WatchReport *report);
