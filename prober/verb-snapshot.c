/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-snapshot.h"
#include "prober/result-outputs.h"
#include "prober/snapshot.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"

#include <stdio.h>

static ProbeResult result_of(const SnapshotReport *report, const char *guest_name,
                             int64_t began_at_us)
{
    return (ProbeResult){
        .verb = "snapshot",
        .guest = guest_name,
        .began_at_us = began_at_us,
        .took_us = g_get_real_time() - began_at_us,
        .profile = report->profile,
        .judged = report->judged,
        .verdict = report->verdict,
        .consistency = report->consistency,
        .failure = report->failure,
        .unthawed = report->unthawed,
        .evidence = report->evidence,
        .window = report->window,
        .canaries = report->canaries,
    };
}

int verb_snapshot(const Options *options, Interrupt *interrupt)
{
    int64_t began_at_us = g_get_real_time();
    g_autoptr(GError) error = NULL;

    if (!result_outputs_check(options, &error))
        return verb_fail("snapshot", options, error);
    g_autoptr(Progress) progress = progress_new();
    g_autoptr(SnapshotReport) report = snapshot_run(options, interrupt, progress);

    if (options->json)
        render_snapshot_json(report, options->target);
    else if (!options->nagios)
        render_snapshot_table(report, options->target->name, terminal_text_wants_colour(stdout));
    fflush(stdout);
    if (report->failure)
        verb_complain(report->failure);
    ProbeResult result = result_of(report, options->target->name, began_at_us);
    return result_outputs_write(options, &result, snapshot_report_exit_status(report));
}
