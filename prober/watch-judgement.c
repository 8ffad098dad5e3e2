/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/watch-judgement.h"
#include "prober/evidence-canary.h"
#include "prober/evidence-counters.h"
#include "prober/freeze-coverage.h"
#include "prober/observed-freeze.h"

static double seconds(int64_t duration_us)
{
    return (double)duration_us / G_USEC_PER_SEC;
}

static const char *who(const ObservedFreeze *freeze)
{
    return freeze->command ? freeze->command : "somebody";
}

/* The last one that held anything; NULL when none did. */
static const ObservedFreeze *last_held(const GPtrArray *freezes)
{
    for (unsigned i = freezes->len; i > 0; i--) {
        const ObservedFreeze *freeze = g_ptr_array_index(freezes, i - 1);
        if (observed_freeze_held(freeze))
            return freeze;
    }
    return NULL;
}

/* Answers to the question for the state do not tell what is frozen: then it is taken for all. */
static FreezeCoverage *coverage_of(const WatchFindings *findings, const ObservedFreeze *freeze)
{
    g_autoptr(GuestWindow) everything = guest_window_new();

    if (freeze && freeze->window->detailed)
        return freeze_coverage_new(findings->guest, freeze->window, NULL);
    if (findings->guest)
        everything->frozen_count = guest_filesystems_count_freezable(findings->guest);
    return freeze_coverage_new(findings->guest, everything, NULL);
}

/* ---- the agent's word ---- */

static Evidence *claim(EvidenceStance stance, char *summary, const char *remedy)
{
    return evidence_new(EVIDENCE_CLAIM, stance, summary, remedy);
}

static Evidence *claim_without_hold(const WatchFindings *findings)
{
    if (findings->freezes->len == 0)
        return claim(EVIDENCE_AGAINST,
                     g_strdup_printf("nobody froze: in these %.1f s the agent's history got no "
                                     "freeze",
                                     seconds(findings->watched_us)),
                     "let whoever takes the snapshot freeze the guest before it");

    const ObservedFreeze *last = g_ptr_array_index(findings->freezes, findings->freezes->len - 1);
    return claim(EVIDENCE_AGAINST,
                 last->end == HISTORY_FAILED
                     ? g_strdup_printf("%s failed: %s", who(last), last->reason)
                     : g_strdup_printf("%s froze nothing", who(last)),
                 NULL);
}

static Evidence *claim_of_holds(const WatchFindings *findings)
{
    g_autofree char *left_out = NULL;
    unsigned held = 0;

    for (unsigned i = 0; i < findings->freezes->len; i++) {
        const ObservedFreeze *freeze = g_ptr_array_index(findings->freezes, i);
        if (freeze->end == HISTORY_BROKEN)
            return claim(EVIDENCE_AGAINST,
                         g_strdup_printf("the freeze by %s was broken: %s", who(freeze),
                                         freeze->reason ? freeze->reason : "no reason given"),
                         NULL);
        if (!observed_freeze_held(freeze))
            continue;
        g_autoptr(FreezeCoverage) coverage = coverage_of(findings, freeze);
        held++;
        if (!left_out && coverage->uncovered > 0)
            left_out = g_strdup_printf("%s left out %u filesystems%s%s", who(freeze),
                                       coverage->uncovered, coverage->uncovered_names ? ": " : "",
                                       coverage->uncovered_names ? coverage->uncovered_names : "");
    }
    if (left_out)
        return claim(EVIDENCE_SILENT, g_steal_pointer(&left_out), NULL);
    const ObservedFreeze *last = last_held(findings->freezes);
    return claim(EVIDENCE_FOR,
                 g_strdup_printf("%s froze %" G_GINT64_FORMAT " filesystems for %.2f s%s",
                                 who(last), last->window->frozen_count, last->held_ms / 1000,
                                 held > 1 ? ", and there were freezes before" : ""),
                 NULL);
}

static Evidence *claim_from_answers(const WatchFindings *findings)
{
    const ObservedFreeze *last = last_held(findings->freezes);
    const char *remedy = "install quiesced in the guest: it remembers who froze what";

    if (!last)
        return claim(EVIDENCE_SILENT,
                     g_strdup_printf("asked %u times, the agent was thawed each time; between two "
                                     "questions there may have been a freeze",
                                     findings->answers),
                     remedy);
    return claim(EVIDENCE_SILENT,
                 g_strdup_printf("the agent called itself frozen for at least %.1f s, but does not "
                                 "tell what it had frozen",
                                 last->held_ms / 1000),
                 remedy);
}

static Evidence *judge_claim(const WatchFindings *findings)
{
    if (findings->word == WATCH_WORD_NONE)
        return claim(EVIDENCE_SILENT, g_strdup(findings->word_problem), findings->word_remedy);
    if (findings->word == WATCH_WORD_ANSWERS)
        return claim_from_answers(findings);
    if (findings->frozen_at_end)
        return claim(EVIDENCE_SILENT, g_strdup("the guest is frozen still"),
                     "watch until after the thaw");
    return last_held(findings->freezes) ? claim_of_holds(findings) : claim_without_hold(findings);
}

/* ---- the counters ---- */

static Evidence *counters(EvidenceStance stance, char *summary, const char *remedy)
{
    return evidence_new(EVIDENCE_COUNTERS, stance, summary, remedy);
}

static Evidence *judge_hold(const WatchFindings *findings, ObservedFreeze *freeze)
{
    CounterFindings in_hold = {.lost = findings->activity_lost};

    if (!freeze->placed)
        return counters(EVIDENCE_SILENT,
                        g_strdup("the guest's clock does not tell when its freeze was by ours"),
                        NULL);
    g_autoptr(FreezeCoverage) coverage = coverage_of(findings, freeze);
    freeze->activity = activity_log_cut(findings->activity, &freeze->when);
    in_hold.watch = freeze->activity;
    return evidence_counters_judge(&in_hold, coverage);
}

/* Against counts more than silence, silence more than for. */
static unsigned weight(const Evidence *evidence)
{
    static const unsigned weights[] = {
        [EVIDENCE_FOR] = 0,
        [EVIDENCE_SILENT] = 1,
        [EVIDENCE_AGAINST] = 2,
    };

    return weights[evidence->stance];
}

static Evidence *judge_holds(const WatchFindings *findings)
{
    Evidence *worst = NULL;

    for (unsigned i = 0; i < findings->freezes->len; i++) {
        ObservedFreeze *freeze = g_ptr_array_index(findings->freezes, i);
        if (!observed_freeze_held(freeze))
            continue;
        Evidence *evidence = judge_hold(findings, freeze);
        if (worst && weight(worst) >= weight(evidence)) {
            evidence_free(evidence);
            continue;
        }
        g_clear_pointer(&worst, evidence_free);
        worst = evidence;
    }
    return worst;
}

typedef struct {
    unsigned devices;
    unsigned busy;
    unsigned restless; /* busy ones that never paused for as long as a freeze takes */
    int64_t pause_us;  /* the longest pause among these */
    GString *restless_names;
    const ActivityRhythm *steadiest; /* of the busy ones, NULL without any; borrowed */
} Rhythms;

static Rhythms tally_rhythms(const GPtrArray *rhythms)
{
    Rhythms tally = {.devices = rhythms->len, .restless_names = g_string_new(NULL)};

    for (unsigned i = 0; i < rhythms->len; i++) {
        const ActivityRhythm *rhythm = g_ptr_array_index(rhythms, i);
        if (!activity_rhythm_is_busy(rhythm))
            continue;
        tally.busy++;
        if (!tally.steadiest || rhythm->longest_pause_us < tally.steadiest->longest_pause_us)
            tally.steadiest = rhythm;
        if (rhythm->longest_pause_us >= WATCH_SHORTEST_FREEZE_US)
            continue;
        g_string_append_printf(tally.restless_names, "%s%s", tally.restless > 0 ? ", " : "",
                               rhythm->name);
        tally.restless++;
        tally.pause_us = MAX(tally.pause_us, rhythm->longest_pause_us);
    }
    return tally;
}

/* How many devices may write through a freeze of everything. */
static unsigned bystanders(const WatchFindings *findings, unsigned devices)
{
    g_autoptr(FreezeCoverage) coverage = coverage_of(findings, NULL);

    if (coverage->disks_touched == 0)
        return coverage->everything ? 0 : devices;
    return devices > coverage->disks_all_ours ? devices - coverage->disks_all_ours : 0;
}

static Evidence *judge_still(const WatchFindings *findings, const GArray *stills)
{
    const ActivityStill *longest = &g_array_index(stills, ActivityStill, 0);

    for (unsigned i = 1; i < stills->len; i++) {
        const ActivityStill *still = &g_array_index(stills, ActivityStill, i);
        if (still->to_us - still->from_us > longest->to_us - longest->from_us)
            longest = still;
    }
    bool denied = findings->word == WATCH_WORD_HISTORY && !findings->frozen_at_end;
    return counters(denied ? EVIDENCE_SILENT : EVIDENCE_FOR,
                    g_strdup_printf("all busy disks stood still for %.2f s%s",
                                    seconds(longest->to_us - longest->from_us),
                                    denied ? ", but not by the agent's doing" : ""),
                    denied ? "something else held them up: slow storage, a paused machine" : NULL);
}

static Evidence *judge_rhythm(const WatchFindings *findings, const GArray *stills)
{
    g_autoptr(GPtrArray) rhythms = activity_log_rhythms(findings->activity);
    Rhythms tally = tally_rhythms(rhythms);
    g_autoptr(GString) names = tally.restless_names;

    if (tally.restless > bystanders(findings, tally.devices))
        return counters(EVIDENCE_AGAINST,
                        g_strdup_printf("%s never stopped writing for more than %.2f s: too short "
                                        "for a freeze and a snapshot",
                                        names->str, seconds(tally.pause_us)),
                        NULL);
    if (findings->activity_lost)
        return counters(
            EVIDENCE_SILENT,
            g_strdup_printf("the counters were lost on the way: %s", findings->activity_lost),
            NULL);
    if (stills->len > 0)
        return judge_still(findings, stills);
    if (tally.steadiest)
        return counters(EVIDENCE_SILENT,
                        g_strdup_printf("%s never stopped writing for more than %.2f s, which is "
                                        "enough for a short freeze",
                                        tally.steadiest->name,
                                        seconds(tally.steadiest->longest_pause_us)),
                        "use a smaller --interval, 0.01, or install quiesced in the guest");
    return counters(EVIDENCE_SILENT,
                    g_strdup("the disks were written to too seldom for a pause to show"),
                    "watch while the guest is busy");
}

static Evidence *judge_counters(const WatchFindings *findings, const GArray *stills)
{
    if (!findings->activity)
        return counters(EVIDENCE_SILENT, g_strdup(findings->activity_unavailable),
                        findings->activity_remedy);
    Evidence *evidence = judge_holds(findings);
    return evidence ? evidence : judge_rhythm(findings, stills);
}

/* ---- writers in the guest, when who froze had asked for them ---- */

static void judge_canaries(const WatchFindings *findings, GPtrArray *evidence)
{
    const ObservedFreeze *last = last_held(findings->freezes);
    g_autoptr(GPtrArray) records = g_ptr_array_new();
    CanaryFindings canaries = {.records = records};

    if (!last)
        return;
    for (unsigned i = 0; i < last->window->filesystems->len; i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(last->window->filesystems, i);
        if (filesystem->canary)
            g_ptr_array_add(records, filesystem->canary);
    }
    canaries.hold_ms = last->held_ms;
    canaries.unavailable = "who froze had no writers started in the guest";
    /* A writer on one filesystem says nothing of another. */
    if (records->len < last->window->filesystems->len)
        g_ptr_array_set_size(records, 0);
    g_ptr_array_add(evidence, evidence_canary_judge(&canaries));
}

/* ---- all of it ---- */

static HookOutcome hooks_of(const GPtrArray *freezes)
{
    HookOutcome sum = {.known = freezes->len > 0};

    for (unsigned i = 0; i < freezes->len; i++) {
        const ObservedFreeze *freeze = g_ptr_array_index(freezes, i);
        if (!observed_freeze_held(freeze))
            continue;
        sum.known = sum.known && freeze->hooks.known;
        sum.ran += freeze->hooks.ran;
        sum.failed += freeze->hooks.failed;
    }
    return sum;
}

static bool nobody_froze(const WatchFindings *findings, Verdict verdict)
{
    if (last_held(findings->freezes) || findings->frozen_at_end)
        return false;
    return findings->word == WATCH_WORD_HISTORY || verdict == VERDICT_NOT_FROZEN;
}

WatchJudgement *watch_judge(const WatchFindings *findings)
{
    WatchJudgement *judgement = g_new0(WatchJudgement, 1);

    judgement->evidence = g_ptr_array_new_with_free_func((GDestroyNotify)evidence_free);
    judgement->stills = findings->activity ? activity_log_stills(findings->activity)
                                           : g_array_new(FALSE, FALSE, sizeof(ActivityStill));
    g_ptr_array_add(judgement->evidence, judge_claim(findings));
    g_ptr_array_add(judgement->evidence, judge_counters(findings, judgement->stills));
    judge_canaries(findings, judgement->evidence);

    HookOutcome hooks = hooks_of(findings->freezes);
    judgement->verdict = verdict_reach(judgement->evidence);
    judgement->consistency = verdict_consistency(judgement->verdict, &hooks);
    judgement->nobody_froze = nobody_froze(findings, judgement->verdict);
    return judgement;
}

void watch_judgement_free(WatchJudgement *judgement)
{
    g_ptr_array_unref(judgement->evidence);
    g_array_unref(judgement->stills);
    g_free(judgement);
}
