/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence-counters.h"

#include <inttypes.h>

#define NAMES_SHOWN 4

typedef struct {
    unsigned devices;
    unsigned still;  /* wrote outside the hold so often that the pause is no accident */
    unsigned moving; /* wrote during the hold */
    unsigned seldom; /* wrote outside, but too seldom to tell */
    unsigned hold_intervals;
    GString *still_names;
    GString *moving_names;
} Tally;

static double expected_in_hold(const DeviceActivity *device)
{
    const PhaseActivity *before = &device->phases[COUNTER_PHASE_BEFORE];
    const PhaseActivity *after = &device->phases[COUNTER_PHASE_AFTER];
    unsigned intervals = before->intervals + after->intervals;

    if (intervals == 0)
        return 0;
    return (double)(before->moved + after->moved) / intervals *
           device->phases[COUNTER_PHASE_HOLD].intervals;
}

/* A burst that was over before the hold, or began after it, says nothing of what lies between. */
static bool wrote_on_both_sides(const DeviceActivity *device)
{
    return device->phases[COUNTER_PHASE_BEFORE].moved > 0 &&
           device->phases[COUNTER_PHASE_AFTER].moved > 0;
}

static void append_name(GString *names, unsigned position, const char *text)
{
    if (position < NAMES_SHOWN)
        g_string_append_printf(names, "%s%s", position > 0 ? ", " : "", text);
    else if (position == NAMES_SHOWN)
        g_string_append(names, ", ...");
}

static void tally_device(Tally *tally, const DeviceActivity *device)
{
    const PhaseActivity *hold = &device->phases[COUNTER_PHASE_HOLD];

    tally->devices++;
    tally->hold_intervals = MAX(tally->hold_intervals, hold->intervals);
    if (hold->moved > 0) {
        g_autofree char *text =
            g_strdup_printf("%s (%" PRIu64 " writes, %" PRIu64 " bytes, in %u of %u samples)",
                            device->name, hold->writes, hold->bytes, hold->moved, hold->intervals);
        append_name(tally->moving_names, tally->moving++, text);
    } else if (wrote_on_both_sides(device) &&
               expected_in_hold(device) >= EVIDENCE_COUNTERS_MIN_EXPECTED) {
        append_name(tally->still_names, tally->still++, device->name);
    } else if (expected_in_hold(device) > 0) {
        tally->seldom++;
    }
}

/* How many devices may have written, or stood still, without a frozen filesystem's doing. */
static unsigned bystanders(const Tally *tally, const FreezeCoverage *coverage, unsigned ours)
{
    if (coverage->disks_touched == 0)
        return coverage->everything ? 0 : tally->devices;
    return tally->devices > ours ? tally->devices - ours : 0;
}

static Evidence *silent(char *summary, const char *remedy)
{
    return evidence_new(EVIDENCE_COUNTERS, EVIDENCE_SILENT, summary, remedy);
}

static Evidence *judge_still(const Tally *tally, const FreezeCoverage *coverage)
{
    if (tally->still > bystanders(tally, coverage, coverage->disks_touched))
        return evidence_new(
            EVIDENCE_COUNTERS, EVIDENCE_FOR,
            g_strdup_printf("%s stood still for all %u samples of the hold, wrote before and after",
                            tally->still_names->str, tally->hold_intervals),
            NULL);
    if (tally->still > 0)
        return silent(g_strdup_printf("%s stood still during the hold, but may carry no frozen "
                                      "filesystem (%u devices, %u known to carry one)",
                                      tally->still_names->str, tally->devices,
                                      coverage->disks_touched),
                      NULL);
    if (tally->seldom > 0)
        return silent(g_strdup("no device wrote during the hold, but too little before and after "
                               "for that to be no accident"),
                      "use a longer --hold, or verify while the guest is busy");
    return silent(g_strdup("no device wrote before, during or after the hold"),
                  "verify while the guest writes something");
}

static Evidence *judge_tally(const Tally *tally, const FreezeCoverage *coverage, const char *lost)
{
    if (tally->moving > bystanders(tally, coverage, coverage->disks_all_ours))
        return evidence_new(
            EVIDENCE_COUNTERS, EVIDENCE_AGAINST,
            g_strdup_printf("written to during the hold: %s", tally->moving_names->str), NULL);
    if (lost)
        return silent(g_strdup_printf("the counters were lost on the way: %s", lost), NULL);
    if (tally->moving > 0)
        return silent(g_strdup_printf("written to during the hold, perhaps by what was not to be "
                                      "frozen: %s",
                                      tally->moving_names->str),
                      NULL);
    if (tally->hold_intervals < 2)
        return silent(g_strdup("too few samples during the hold"),
                      "use a longer --hold, or a shorter --interval to watch");
    return judge_still(tally, coverage);
}

Evidence *evidence_counters_judge(const CounterFindings *findings, const FreezeCoverage *coverage)
{
    if (!findings->watch)
        return silent(g_strdup(findings->unavailable), findings->remedy);

    Tally tally = {.still_names = g_string_new(NULL), .moving_names = g_string_new(NULL)};
    for (unsigned i = 0; i < findings->watch->devices->len; i++)
        tally_device(&tally, g_ptr_array_index(findings->watch->devices, i));
    Evidence *evidence = judge_tally(&tally, coverage, findings->lost);
    g_string_free(tally.still_names, TRUE);
    g_string_free(tally.moving_names, TRUE);
    return evidence;
}
