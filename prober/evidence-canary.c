/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence-canary.h"

#include <inttypes.h>

#define CLOCK_SLACK_MS 20.0
#define CLOCK_DRIFT 0.01

double evidence_canary_needed_gap_ms(double hold_ms)
{
    return MAX(hold_ms - CLOCK_SLACK_MS - hold_ms * CLOCK_DRIFT, 0);
}

/* Why the record proves nothing; NULL when it speaks for the freeze. */
static char *why_silent(const CanaryRecord *record, double hold_ms)
{
    double needed_ms =
        record->needed_gap_ms > 0 ? record->needed_gap_ms : evidence_canary_needed_gap_ms(hold_ms);

    if (record->error_text)
        return g_strdup(record->error_text);
    if (record->writes_before <= 0 || record->writes_after <= 0)
        return g_strdup_printf("%" PRId64 " writes before the hold, %" PRId64 " after",
                               record->writes_before, record->writes_after);
    if (!(record->longest_gap_ms >= needed_ms))
        return g_strdup_printf("the longest pause, %.0f ms, is shorter than the hold, %.0f ms",
                               record->longest_gap_ms, hold_ms);
    return NULL;
}

static Evidence *find_against(const GPtrArray *records)
{
    for (unsigned i = 0; i < records->len; i++) {
        const CanaryRecord *record = g_ptr_array_index(records, i);
        if (record->writes_during > 0)
            return evidence_new(EVIDENCE_CANARY, EVIDENCE_AGAINST,
                                g_strdup_printf("%" PRId64 " writes to %s completed during the "
                                                "hold (longest pause %.0f ms)",
                                                record->writes_during, record->mount_point,
                                                record->longest_gap_ms),
                                NULL);
    }
    return NULL;
}

static Evidence *find_silent(const GPtrArray *records, double hold_ms, unsigned *speaking)
{
    for (unsigned i = 0; i < records->len; i++) {
        const CanaryRecord *record = g_ptr_array_index(records, i);
        if (record->read_only)
            continue;
        g_autofree char *reason = why_silent(record, hold_ms);
        if (reason)
            return evidence_new(EVIDENCE_CANARY, EVIDENCE_SILENT,
                                g_strdup_printf("%s: %s", record->mount_point, reason), NULL);
        (*speaking)++;
    }
    return NULL;
}

static double shortest_pause_ms(const GPtrArray *records)
{
    double shortest = G_MAXDOUBLE;

    for (unsigned i = 0; i < records->len; i++) {
        const CanaryRecord *record = g_ptr_array_index(records, i);
        if (!record->read_only)
            shortest = MIN(shortest, record->longest_gap_ms);
    }
    return shortest;
}

Evidence *evidence_canary_judge(const CanaryFindings *findings)
{
    const GPtrArray *records = findings->records;
    unsigned speaking = 0;

    if (!records || records->len == 0)
        return evidence_new(EVIDENCE_CANARY, EVIDENCE_SILENT, g_strdup(findings->unavailable),
                            findings->remedy);
    Evidence *evidence = find_against(records);
    if (!evidence)
        evidence = find_silent(records, findings->hold_ms, &speaking);
    if (evidence)
        return evidence;
    if (speaking == 0)
        return evidence_new(EVIDENCE_CANARY, EVIDENCE_SILENT,
                            g_strdup("every filesystem is mounted read-only"), NULL);
    return evidence_new(
        EVIDENCE_CANARY, EVIDENCE_FOR,
        g_strdup_printf("no write completed on %s during the hold, all writers wrote before and "
                        "after (paused at least %.0f ms)",
                        speaking == 1 ? "the filesystem" : "any filesystem",
                        shortest_pause_ms(records)),
        NULL);
}
