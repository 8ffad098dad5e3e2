/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-snapshot.h"
#include "prober/snapshot.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"

#include <stdio.h>

int verb_snapshot(const Options *options, Interrupt *interrupt)
{
    g_autoptr(Progress) progress = progress_new();
    g_autoptr(SnapshotReport) report = snapshot_run(options, interrupt, progress);

    if (options->json)
        render_snapshot_json(report, options->target);
    else
        render_snapshot_table(report, options->target->name, terminal_text_wants_colour(stdout));
    fflush(stdout);
    if (report->failure)
        verb_complain(report->failure);
    return snapshot_report_exit_status(report);
}
