/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* verify and report: the same procedure, once or several times. */
#include "prober/agent-link.h"
#include "prober/render-json.h"
#include "prober/render-table.h"
#include "prober/result-outputs.h"
#include "prober/result-tables.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"
#include "prober/verify.h"

#include <stdio.h>

/* All runs of one call. Of their reports only the worst is kept. */
typedef struct {
    const char *verb;
    const Options *options;
    Interrupt *interrupt;
    Progress *progress;
    JsonWriter *writer;  /* with --json; NULL: tables */
    TextTable *summary;  /* a row per run */
    VerifyReport *worst; /* the first one of those with the worst exit status */
    unsigned done;
} Runs;

static bool is_repeated(const Runs *runs)
{
    return runs->options->repeat > 1;
}

/* ---- what is shown ---- */

static void begin_output(Runs *runs)
{
    if (!runs->options->json)
        return;
    runs->writer = render_json_begin(runs->verb, runs->options->target);
    if (is_repeated(runs))
        json_writer_begin_array(runs->writer, "runs");
}

static void show_json(const Runs *runs, const VerifyReport *report)
{
    if (is_repeated(runs))
        json_writer_begin_object(runs->writer, NULL);
    render_json_verify(runs->writer, report);
    if (is_repeated(runs))
        json_writer_end_object(runs->writer);
}

static void show_table(const Runs *runs, const VerifyReport *report)
{
    if (runs->options->nagios)
        return;
    if (is_repeated(runs))
        printf("%srun       %u of %u\n", runs->done > 0 ? "\n" : "", runs->done + 1,
               runs->options->repeat);
    render_table_verify(report, runs->options->target->name, terminal_text_wants_colour(stdout));
}

static void show_run(const Runs *runs, const VerifyReport *report)
{
    if (runs->writer)
        show_json(runs, report);
    else
        show_table(runs, report);
    fflush(stdout);
    if (report->failure)
        verb_complain_reported(runs->options, report->failure);
}

static void summarize(const Runs *runs, const VerifyReport *report)
{
    const GuestWindow *window = report->window;
    bool froze = window->freeze_replied;
    TerminalTone tone = report->judged ? result_table_tone(report->verdict) : TERMINAL_BAD;

    text_table_cell_format(runs->summary, "%u", runs->done + 1);
    text_table_cell_tone(runs->summary, tone,
                         report->judged ? verdict_name(report->verdict) : "no verdict");
    text_table_cell_duration(runs->summary, froze ? (double)window->freeze_us / 1000 : -1);
    text_table_cell_duration(runs->summary, froze ? (double)window->hold_us / 1000 : -1);
    text_table_cell_duration(runs->summary, froze ? (double)window->thaw_us / 1000 : -1);
}

/* Of all runs, what a program needs to know first. */
static void end_json(Runs *runs)
{
    const VerifyReport *worst = runs->worst;

    if (is_repeated(runs)) {
        json_writer_end_array(runs->writer);
        render_json_verdict(runs->writer, worst);
    }
    render_json_end(runs->writer);
}

static void end_table(const Runs *runs)
{
    bool colour = terminal_text_wants_colour(stdout);

    if (!is_repeated(runs) || runs->options->nagios)
        return;
    printf("\n");
    text_table_print(runs->summary, stdout, colour);
    if (runs->worst->judged)
        render_table_verdict(runs->worst->verdict, runs->worst->consistency,
                             "at worst a snapshot in these windows", colour);
    else
        printf("\nverdict   none, a run could not be completed\n");
}

/* ---- the runs ---- */

/* As of many guests: see fleet-summary.h. */
static int badness(const VerifyReport *report)
{
    static const int ranks[] = {
        [VERDICT_FROZEN] = 0,
        [VERDICT_UNPROVEN] = 1,
        [VERDICT_NOT_FROZEN] = 3,
    };

    if (report->unthawed)
        return 4;
    return report->judged ? ranks[report->verdict] : 2;
}

static void take(Runs *runs, VerifyReport *report)
{
    summarize(runs, report);
    runs->done++;
    if (runs->worst && badness(runs->worst) >= badness(report)) {
        verify_report_free(report);
        return;
    }
    g_clear_pointer(&runs->worst, verify_report_free);
    runs->worst = report;
}

/* A guest that may be frozen is not frozen once more. */
static bool goes_on(const Runs *runs)
{
    return runs->done < runs->options->repeat && !runs->worst->unthawed &&
           interrupt_sleep(runs->interrupt, runs->options->pause_us, NULL);
}

static void run_all(Runs *runs)
{
    do {
        g_autoptr(AgentLink) link = target_agent(runs->options->target, runs->options->timeout_ms);
        VerifyReport *report = verify_run(runs->options, link, runs->interrupt, runs->progress);
        show_run(runs, report);
        take(runs, report);
    } while (goes_on(runs));
}

static int run(const char *verb, const Options *options, Interrupt *interrupt)
{
    static const char *const headings[] = {">run",  "verdict",    ">froze in",
                                           ">held", ">thawed in", NULL};
    g_autoptr(GError) error = NULL;

    if (!result_outputs_check(options, &error))
        return verb_fail(verb, options, error);
    g_autoptr(TextTable) summary = text_table_new(headings);
    g_autoptr(Progress) progress = progress_new();
    Runs runs = {.verb = verb,
                 .options = options,
                 .interrupt = interrupt,
                 .progress = progress,
                 .summary = summary};
    begin_output(&runs);
    run_all(&runs);
    g_autoptr(VerifyReport) worst = runs.worst;
    if (runs.writer)
        end_json(&runs);
    else
        end_table(&runs);
    ProbeResult result = verify_report_result(worst, options->target->name);
    return result_outputs_write(options, &result, verify_report_exit_status(worst));
}

int verb_verify(const Options *options, Interrupt *interrupt)
{
    return run("verify", options, interrupt);
}

int verb_report(const Options *options, Interrupt *interrupt)
{
    return run("report", options, interrupt);
}
