/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/evidence.h"

#include <glib.h>

/* From evidence to a word. Pure: no system call, no clock. */

typedef enum {
    VERDICT_FROZEN,     /* the claim, an independent piece for it, none against */
    VERDICT_NOT_FROZEN, /* a piece against */
    VERDICT_UNPROVEN,   /* everything else: at most somebody's word */
} Verdict;

/* How consistent a snapshot taken in the window is, in the words backup tools use. */
typedef enum {
    CONSISTENCY_CRASH,       /* as after a power cut; also all that can be promised if unproven */
    CONSISTENCY_FILESYSTEM,  /* frozen */
    CONSISTENCY_APPLICATION, /* frozen, and every hook ended well */
} Consistency;

/* What is known of the applications' hooks. */
typedef struct {
    bool known;      /* the agent reports on its hooks */
    unsigned ran;    /* how many ran */
    unsigned failed; /* how many of them ended badly */
} HookOutcome;

/* evidence: of Evidence; a source that is absent says nothing. */
Verdict verdict_reach(const GPtrArray *evidence);
Consistency verdict_consistency(Verdict verdict, const HookOutcome *hooks);

/* "FROZEN", "NOT FROZEN", "UNPROVEN" */
const char *verdict_name(Verdict verdict);
/* "crash-consistent", ... */
const char *consistency_name(Consistency consistency);
/* The program's exit status for it: 0, 1, 2. */
int verdict_exit_status(Verdict verdict);
