/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-watch.h"
#include "prober/evidence.h"
#include "prober/freeze-coverage.h"

/*
 * What the hypervisor saw the guest's disks do. Pure.
 *
 * Which counter belongs to which filesystem is not known here; but it is known how many devices
 * there are and how many of them carry frozen filesystems only. When more devices wrote during the
 * hold than can be explained by the rest, a frozen one did: against. When more devices stood still,
 * though their writing before and after made a pause as long as the hold no accident, than can be
 * devices without any frozen filesystem, a frozen one did: for. In between: silent.
 */

/* Writing intervals that a device would have shown in the hold, going by the share outside it,
 * before its standing still counts: chance alone gives e^-3, one in twenty. */
#define EVIDENCE_COUNTERS_MIN_EXPECTED 3.0

/* watch is NULL when there are no counters, and unavailable and remedy say why and what to do;
 * lost, when not NULL, tells why sampling ended before the thaw. */
typedef struct {
    const CounterWatch *watch;
    const char *unavailable;
    const char *remedy;
    const char *lost;
} CounterFindings;

Evidence *evidence_counters_judge(const CounterFindings *findings, const FreezeCoverage *coverage);
