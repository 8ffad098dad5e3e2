/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-profile.h"
#include "prober/guest-window.h"
#include "prober/interrupt.h"
#include "prober/options.h"
#include "prober/progress.h"
#include "prober/snapshot-taker.h"
#include "prober/verdict.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Freezes the guest, takes a snapshot of all its disks, thaws it - always -, and judges what was
 * taken. All that can be done or refused before the freeze is.
 */
typedef struct {
    AgentProfile *profile; /* NULL when the agent could not even be asked */
    GuestWindow *window;
    GPtrArray *disks; /* of SnapshotDisk; NULL: it did not come to that */
    bool frozen;      /* the freeze was answered */
    bool taken;
    bool unsure;            /* nobody knows whether the snapshot was taken */
    int64_t transaction_us; /* how long QEMU took for it */
    GPtrArray *canaries;    /* of CanaryRecord; may be empty */
    GPtrArray *evidence;    /* of Evidence; empty without a judgement */
    bool judged;            /* verdict and consistency hold */
    Verdict verdict;
    Consistency consistency;
    char *failure; /* what went wrong; NULL: nothing */
    bool unthawed; /* the guest may still be frozen */
} SnapshotReport;

/* Never fails: what goes wrong is in the report. progress may be NULL. */
SnapshotReport *snapshot_run(const Options *options, Interrupt *interrupt, Progress *progress);
void snapshot_report_free(SnapshotReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SnapshotReport, snapshot_report_free)

/* 0 FROZEN, 1 NOT FROZEN, 2 UNPROVEN, 3 no snapshot, or the guest may still be frozen. */
int snapshot_report_exit_status(const SnapshotReport *report);
