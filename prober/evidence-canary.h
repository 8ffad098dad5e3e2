/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/evidence.h"
#include "prober/guest-window.h"

#include <glib.h>

/*
 * What writers inside the guest saw: against, when one of them completed a write during the hold;
 * for, when each wrote before and after, none during, and paused at least as long as the host held
 * the guest frozen. Pure.
 */
typedef struct {
    const GPtrArray *records; /* of CanaryRecord; NULL or empty when no writer ran */
    const char *unavailable;  /* then: why, and what to do about it (may be NULL) */
    const char *remedy;
    double hold_ms; /* from the freeze's reply to the thaw's request, by the host's clock */
} CanaryFindings;

Evidence *evidence_canary_judge(const CanaryFindings *findings);

/* The shortest pause that still covers a hold: the two clocks tick apart, and stamps have a
 * resolution (10 ms in /proc/uptime). */
double evidence_canary_needed_gap_ms(double hold_ms);
