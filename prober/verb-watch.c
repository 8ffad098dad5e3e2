/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-watch.h"
#include "prober/result-outputs.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"
#include "prober/watch-result.h"
#include "prober/watch.h"

#include <stdio.h>

int verb_watch(const Options *options, Interrupt *interrupt)
{
    g_autoptr(GError) error = NULL;
    if (!result_outputs_check(options, &error))
        return verb_fail("watch", options, error);
    g_autoptr(Progress) progress = progress_new();
    g_autoptr(WatchReport) report = watch_run(options, interrupt, progress);
    const char *const *arguments = (const char *const *)options->command;

    if (options->json)
        render_watch_json(report, options->target, arguments);
    else if (!options->nagios)
        render_watch_table(report, options->target->name, arguments,
                           terminal_text_wants_colour(stdout));
    fflush(stdout);
    if (report->failure)
        verb_complain(report->failure);
    g_autoptr(WatchResult) result = watch_result_new(report, options->target->name);
    return result_outputs_write(options, &result->result, watch_report_exit_status(report));
}
