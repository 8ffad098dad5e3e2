/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "prober/render-json.h"
#include "prober/render-table.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"
#include "prober/verify.h"

#include <stdio.h>

int verb_verify(const Options *options, Interrupt *interrupt)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_autoptr(Progress) progress = progress_new();
    g_autoptr(VerifyReport) report = verify_run(options, link, interrupt, progress);

    if (options->json) {
        JsonWriter *writer = render_json_begin("verify", options->target);
        render_json_verify(writer, report);
        render_json_end(writer);
    } else {
        render_table_verify(report, options->target->name, terminal_text_wants_colour(stdout));
    }
    fflush(stdout);
    if (report->failure)
        verb_complain_reported(options, report->failure);
    return verify_report_exit_status(report);
}
