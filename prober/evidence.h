/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * One piece of evidence: what one source says about whether the guest was frozen, and the numbers
 * that made it say so (../shared/design.md, "The proof").
 */
typedef enum {
    EVIDENCE_CLAIM,    /* the agent's own word */
    EVIDENCE_COUNTERS, /* the hypervisor's write counters */
    EVIDENCE_CANARY,   /* writers inside the guest */
    EVIDENCE_DISK,     /* the filesystems' own metadata on the disks */
} EvidenceSource;

typedef enum {
    EVIDENCE_FOR,     /* it was frozen */
    EVIDENCE_AGAINST, /* it was not */
    EVIDENCE_SILENT,  /* nothing can be said; the summary tells why */
} EvidenceStance;

typedef struct {
    EvidenceSource source;
    EvidenceStance stance;
    char *summary; /* one sentence with the numbers */
    char *remedy;  /* how to make a silent source speak; NULL when there is no way */
} Evidence;

/* summary is taken over, remedy is copied and may be NULL. */
Evidence *evidence_new(EvidenceSource source, EvidenceStance stance, char *summary,
                       const char *remedy);
void evidence_free(Evidence *evidence);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Evidence, evidence_free)

/* "claim", "counters", "canary", "disk" */
const char *evidence_source_name(EvidenceSource source);
/* "for", "against", "silent" */
const char *evidence_stance_name(EvidenceStance stance);
/* Everything but the agent's own word. */
bool evidence_source_is_independent(EvidenceSource source);
