/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/inspect.h"
#include "prober/render-inspect.h"
#include "prober/render-json.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"

#include <stdio.h>

int verb_inspect(const Options *options, Interrupt *interrupt)
{
    const InspectRequest request = {
        .addresses = (const char *const *)options->images,
        .format = options->format,
        .snapshot = options->snapshot,
        .timeout_ms = options->timeout_ms,
        .interrupt_fd = interrupt_fd(interrupt),
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(InspectReport) report = inspect_run(&request, &error);

    /* A signal makes reading fail, which the report would take for the disks' fault. */
    if (report && interrupt_check(interrupt, &error))
        g_clear_pointer(&report, inspect_report_free);
    if (!report)
        return verb_fail("inspect", options, error);
    if (options->json) {
        JsonWriter *writer = render_json_begin("inspect", NULL);
        render_json_inspect(writer, report);
        render_json_end(writer);
    } else {
        render_table_inspect(report, terminal_text_wants_colour(stdout));
    }
    return verdict_exit_status(report->verdict);
}
