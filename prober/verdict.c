/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/verdict.h"

Verdict verdict_reach(const GPtrArray *evidence)
{
    bool claimed = false;
    bool confirmed = false;

    for (unsigned i = 0; i < evidence->len; i++) {
        const Evidence *piece = g_ptr_array_index(evidence, i);

        if (piece->stance == EVIDENCE_AGAINST)
            return VERDICT_NOT_FROZEN;
        if (piece->stance != EVIDENCE_FOR)
            continue;
        if (evidence_source_is_independent(piece->source))
            confirmed = true;
        else
            claimed = true;
    }
    return claimed && confirmed ? VERDICT_FROZEN : VERDICT_UNPROVEN;
}

Consistency verdict_consistency(Verdict verdict, const HookOutcome *hooks)
{
    if (verdict != VERDICT_FROZEN)
        return CONSISTENCY_CRASH;
    if (hooks->known && hooks->ran > 0 && hooks->failed == 0)
        return CONSISTENCY_APPLICATION;
    return CONSISTENCY_FILESYSTEM;
}

const char *verdict_name(Verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_FROZEN] = "FROZEN",
        [VERDICT_NOT_FROZEN] = "NOT FROZEN",
        [VERDICT_UNPROVEN] = "UNPROVEN",
    };

    return names[verdict];
}

const char *consistency_name(Consistency consistency)
{
    static const char *const names[] = {
        [CONSISTENCY_CRASH] = "crash-consistent",
        [CONSISTENCY_FILESYSTEM] = "filesystem-consistent",
        [CONSISTENCY_APPLICATION] = "application-consistent",
    };

    return names[consistency];
}

int verdict_exit_status(Verdict verdict)
{
    static const int statuses[] = {
        [VERDICT_FROZEN] = 0,
        [VERDICT_NOT_FROZEN] = 1,
        [VERDICT_UNPROVEN] = 2,
    };

    return statuses[verdict];
}
