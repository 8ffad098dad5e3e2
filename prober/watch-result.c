/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/watch-result.h"
#include "prober/observed-freeze.h"

static const ObservedFreeze *last_freeze(const WatchReport *report)
{
    unsigned count = report->freezes ? report->freezes->len : 0;

    return count > 0 ? g_ptr_array_index(report->freezes, count - 1) : NULL;
}

/* Without a place on the host's clock there is nothing to be drawn. */
static void take_times(GuestWindow *window, const ObservedFreeze *freeze)
{
    const ActivityWindow *when = &freeze->when;

    window->freeze_replied = freeze->placed && observed_freeze_held(freeze);
    if (!window->freeze_replied)
        return;
    window->frozen_count = window->filesystems->len;
    window->frozen_at_us = when->frozen_us;
    window->freeze_us = when->frozen_us - when->freeze_us;
    window->hold_us = when->thaw_us - when->frozen_us;
    window->thaw_us = when->thawed_us - when->thaw_us;
}

static void take_canaries(GPtrArray *canaries, const GuestWindow *window)
{
    for (unsigned i = 0; i < window->filesystems->len; i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        if (filesystem->canary)
            g_ptr_array_add(canaries, filesystem->canary);
    }
}

static void take_freeze(WatchResult *result, const ObservedFreeze *freeze)
{
    result->window = *freeze->window;
    take_times(&result->window, freeze);
    take_canaries(result->canaries, &result->window);
    result->result.window = &result->window;
    result->result.watch = freeze->activity;
}

WatchResult *watch_result_new(const WatchReport *report, const char *guest_name)
{
    WatchResult *result = g_new0(WatchResult, 1);
    const ObservedFreeze *freeze = last_freeze(report);
    const WatchJudgement *judgement = report->judgement;

    result->canaries = g_ptr_array_new();
    result->no_evidence = g_ptr_array_new();
    result->result = (ProbeResult){
        .verb = "watch",
        .guest = guest_name,
        .began_at_us = report->began_us + report->real_time_us,
        .took_us = report->ended_us - report->began_us,
        .profile = report->profile,
        .judged = judgement,
        .failure = report->failure,
        .unthawed = report->frozen_at_end,
        .evidence = judgement ? judgement->evidence : result->no_evidence,
        .canaries = result->canaries,
    };
    if (judgement) {
        result->result.verdict = judgement->verdict;
        result->result.consistency = judgement->consistency;
    }
    if (freeze)
        take_freeze(result, freeze);
    if (!result->result.watch && report->activity) {
        result->activity = activity_log_cut(report->activity, NULL);
        result->result.watch = result->activity;
    }
    return result;
}

void watch_result_free(WatchResult *result)
{
    g_ptr_array_unref(result->canaries);
    g_ptr_array_unref(result->no_evidence);
    g_clear_pointer(&result->activity, counter_watch_free);
    g_free(result);
}
