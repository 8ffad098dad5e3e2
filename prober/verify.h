/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/counter-watch.h"
#include "prober/disk-history.h"
#include "prober/freeze-coverage.h"
#include "prober/guest-window.h"
#include "prober/interrupt.h"
#include "prober/options.h"
#include "prober/probe-result.h"
#include "prober/progress.h"
#include "prober/verdict.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The full procedure: look at the guest, start to watch it from outside and from within, freeze,
 * hold, thaw - always -, watch a little longer, judge.
 */
typedef struct {
    AgentProfile *profile; /* NULL when the agent could not even be asked */
    GuestWindow *window;
    FreezeCoverage *coverage; /* NULL without a judgement */
    CounterWatch *watch;      /* NULL when there were no counters */
    DiskHistory *disks;       /* NULL when no disk was read */
    GPtrArray *canaries;      /* of CanaryRecord; may be empty */
    GPtrArray *evidence;      /* of Evidence; empty without a judgement */
    bool judged;              /* verdict and consistency hold */
    Verdict verdict;
    Consistency consistency;
    char *failure; /* what went wrong on the way; NULL: nothing */
    bool unthawed; /* the guest may still be frozen */

    int64_t began_at_us; /* microseconds since 1970 */
    int64_t took_us;
    GPtrArray *log; /* of char *: the end of the agent's log, when a page is wanted; may be empty */
} VerifyReport;

/* Never fails: what goes wrong is in the report. progress may be NULL. */
VerifyReport *verify_run(const Options *options, AgentLink *link, Interrupt *interrupt,
                         Progress *progress);
void verify_report_free(VerifyReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VerifyReport, verify_report_free)

/* 0 FROZEN, 1 NOT FROZEN, 2 UNPROVEN, 3 could not run (or could not thaw). */
int verify_report_exit_status(const VerifyReport *report);

/* For the renderers; borrows from the report and the guest's name. */
ProbeResult verify_report_result(const VerifyReport *report, const char *guest_name);
