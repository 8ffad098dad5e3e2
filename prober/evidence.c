/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence.h"

Evidence *evidence_new(EvidenceSource source, EvidenceStance stance, char *summary,
                       const char *remedy)
{
    Evidence *evidence = g_new0(Evidence, 1);

    evidence->source = source;
    evidence->stance = stance;
    evidence->summary = summary;
    evidence->remedy = g_strdup(remedy);
    return evidence;
}

void evidence_free(Evidence *evidence)
{
    g_free(evidence->summary);
    g_free(evidence->remedy);
    g_free(evidence);
}

const char *evidence_source_name(EvidenceSource source)
{
    static const char *const names[] = {
        [EVIDENCE_CLAIM] = "claim",
        [EVIDENCE_COUNTERS] = "counters",
        [EVIDENCE_CANARY] = "canary",
        [EVIDENCE_DISK] = "disk",
    };

    return names[source];
}

const char *evidence_stance_name(EvidenceStance stance)
{
    static const char *const names[] = {
        [EVIDENCE_FOR] = "for",
        [EVIDENCE_AGAINST] = "against",
        [EVIDENCE_SILENT] = "silent",
    };

    return names[stance];
}

bool evidence_source_is_independent(EvidenceSource source)
{
    return source != EVIDENCE_CLAIM;
}
