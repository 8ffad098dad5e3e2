/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/report-page.h"
#include "build-config.h"
#include "prober/draw-timeline.h"
#include "prober/markup.h"
#include "prober/result-tables.h"

#include <inttypes.h>

/* Words of this length stay whole, longer ones may be broken anywhere: paths have no spaces. */
#define SHORT_CHARS 16

static const char style[] =
    ":root{color-scheme:light dark;--ground:#fff;--text:#1c2024;--faint:#5b6570;--rule:#d9dee3;"
    "--panel:#f5f7f9;--good:#187a3d;--bad:#c3242b;--doubt:#8f5b00;--presync:#8b7bd8;"
    "--freeze:#2457c5;--hold:#8fb2ec;--thaw:#1f938a;--band:#dfe9fa;--write:#5b6570;"
    "--between:#b9c0c7}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#15181b;--text:#e6e9ec;--faint:#9aa4ae;"
    "--rule:#33393f;--panel:#1d2125;--good:#5cc983;--bad:#ff7b78;--doubt:#e3b04b;"
    "--presync:#a99bf0;--freeze:#7ea6ff;--hold:#3e5f9c;--thaw:#4fc4ba;--band:#1f2a3f;"
    "--write:#a3adb7;--between:#565f68}}\n"
    "@media print{:root{color-scheme:light;--ground:#fff;--text:#000;--faint:#444;--rule:#bbb;"
    "--panel:#fff;--good:#187a3d;--bad:#c3242b;--doubt:#8f5b00;--presync:#8b7bd8;"
    "--freeze:#2457c5;--hold:#8fb2ec;--thaw:#1f938a;--band:#dfe9fa;--write:#5b6570;"
    "--between:#b9c0c7}body{max-width:none;padding:0}*{print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}figure,tr,header{break-inside:avoid}"
    "h2{break-after:avoid}.wide{overflow:visible}}\n"
    "@page{size:A4;margin:14mm}\n"
    "*{box-sizing:border-box}\n"
    "body{background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif;"
    "max-width:66rem;margin:0 auto;padding:2rem 1.25rem 3rem}\n"
    "header{border-left:6px solid var(--tone);background:var(--panel);padding:1rem 1.25rem;"
    "border-radius:0 6px 6px 0}\n"
    ".good{--tone:var(--good)}.bad{--tone:var(--bad)}.doubt{--tone:var(--doubt)}"
    ".plain{--tone:var(--faint)}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0;color:var(--tone)}\n"
    "h2{font-size:1.1rem;margin:2.2rem 0 .6rem}\n"
    "p{margin:.35rem "
    "0}.faint,footer{color:var(--faint)}footer{margin-top:2.5rem;font-size:.85rem}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.25rem;margin:1.25rem 0 0}"
    "dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin-bottom:.4rem}\n"
    "th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;"
    "border-bottom:1px solid var(--rule);overflow-wrap:anywhere}"
    "th{color:var(--faint);font-weight:600;font-size:.85rem}\n"
    ".short{white-space:nowrap}.right{text-align:right;font-variant-numeric:tabular-nums;white-"
    "space:nowrap}"
    "td:last-child,th:last-child{padding-right:0}td[class~=tone]{color:var(--tone);"
    "font-weight:600}\n"
    "figure{margin:0}figcaption{color:var(--faint);font-size:.85rem}\n"
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;"
    "margin:.5rem 0;font-size:.85rem}.legend svg{margin-right:.4rem;vertical-align:-1px}\n"
    "svg.timeline{width:100%;height:auto;display:block}\n"
    "svg text{fill:var(--text);font:13px system-ui,sans-serif}"
    "svg text.detail{fill:var(--faint);font-size:10.5px}"
    "svg text.axis{fill:var(--faint);font-size:11px;text-anchor:middle}\n"
    "svg .rule,svg .tick{stroke:var(--rule);stroke-width:1}svg .tick{stroke-dasharray:2 3}\n"
    "svg .band{fill:var(--band)}svg .presync{fill:var(--presync)}svg .freeze{fill:var(--freeze)}"
    "svg .hold{fill:var(--hold)}svg .thaw{fill:var(--thaw)}svg .dot{fill:var(--text)}"
    "svg .write{fill:var(--write)}svg .between{fill:var(--between)}svg .bad{fill:var(--bad)}\n"
    "pre{background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.75rem "
    "1rem;"
    "font:12.5px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}\n";

static const char *tone_class(TerminalTone tone)
{
    static const char *const classes[] = {
        [TERMINAL_PLAIN] = "plain",
        [TERMINAL_GOOD] = "good",
        [TERMINAL_BAD] = "bad",
        [TERMINAL_DOUBT] = "doubt",
    };

    return classes[tone];
}

/* Text of our own around foreign text; a '%s' takes its arguments as they are. */
static void append_format(GString *page, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void append_format(GString *page, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    markup_append(page, text);
}

/* ---- the head ---- */

static const char *verdict_words(const ProbeResult *result)
{
    return result->judged ? verdict_name(result->verdict) : "NO VERDICT";
}

static void append_head(GString *page, const ProbeResult *result)
{
    g_string_append(page,
                    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                    "style-src 'unsafe-inline'\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    append_format(page, "%s: %s", verdict_words(result), result->guest);
    g_string_append_printf(page, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

static void append_verdict(GString *page, const ProbeResult *result)
{
    TerminalTone tone = result->judged ? result_table_tone(result->verdict) : TERMINAL_DOUBT;

    if (result->unthawed)
        tone = TERMINAL_BAD;
    g_string_append_printf(page, "<header class=\"%s\">\n<h1>", tone_class(tone));
    markup_append(page, verdict_words(result));
    g_string_append(page, "</h1>\n<p>");
    if (result->judged)
        append_format(page, "A snapshot taken in this window is %s%s.",
                      result->verdict == VERDICT_UNPROVEN ? "only known to be " : "",
                      consistency_name(result->consistency));
    else
        markup_append(page, "The procedure could not be completed.");
    g_string_append(page, "</p>\n");
    if (result->unthawed)
        g_string_append(page, "<p><strong>The guest may still be frozen.</strong></p>\n");
    if (result->failure) {
        g_string_append(page, "<p>");
        markup_append(page, result->failure);
        g_string_append(page, "</p>\n");
    }
    g_string_append(page, "</header>\n");
}

static void append_fact(GString *page, const char *name, char *text)
{
    g_autofree char *taken = text;

    g_string_append_printf(page, "<dt>%s</dt><dd>", name);
    markup_append(page, taken);
    g_string_append(page, "</dd>\n");
}

static char *when(int64_t at_us)
{
    g_autoptr(GDateTime) moment = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);

    return moment ? g_date_time_format(moment, "%Y-%m-%d %H:%M:%S UTC") : g_strdup("");
}

static void append_facts(GString *page, const ProbeResult *result)
{
    const GuestWindow *window = result->window;

    g_string_append(page, "<dl>\n");
    append_fact(page, "guest", g_strdup(result->guest));
    if (result->profile)
        append_fact(page, "agent",
                    g_strdup_printf("%s %s", agent_profile_kind(result->profile),
                                    result->profile->version));
    append_fact(page, "begun", when(result->began_at_us));
    if (window && window->freeze_replied)
        append_fact(page, "window",
                    g_strdup_printf("%" PRId64 " frozen in %.1f ms, held %.2f s, thawed in %.1f ms",
                                    window->frozen_count, (double)window->freeze_us / 1000,
                                    (double)window->hold_us / G_USEC_PER_SEC,
                                    (double)window->thaw_us / 1000));
    if (window && window->broken_reason)
        append_fact(page, "broken", g_strdup(window->broken_reason));
    g_string_append(page, "</dl>\n");
}

/* ---- tables ---- */

static void append_cell(GString *page, const char *element, bool right, TerminalTone tone,
                        const char *text)
{
    bool is_short = g_utf8_strlen(text, -1) <= SHORT_CHARS;

    g_string_append_printf(page, "<%s class=\"%s%s%s%s\">", element, right ? "right " : "",
                           is_short ? "short " : "", tone == TERMINAL_PLAIN ? "" : "tone ",
                           tone_class(tone));
    markup_append(page, text);
    g_string_append_printf(page, "</%s>", element);
}

static void append_row(GString *page, const TextTable *table, unsigned row)
{
    g_string_append(page, "<tr>");
    for (unsigned column = 0; column < text_table_columns(table); column++) {
        if (!text_table_is_empty(table, column))
            append_cell(page, "td", text_table_is_right_aligned(table, column),
                        text_table_tone(table, row, column), text_table_text(table, row, column));
    }
    g_string_append(page, "</tr>\n");
}

static void append_headings(GString *page, const TextTable *table)
{
    g_string_append(page, "<thead><tr>");
    for (unsigned column = 0; column < text_table_columns(table); column++) {
        if (!text_table_is_empty(table, column))
            append_cell(page, "th", text_table_is_right_aligned(table, column), TERMINAL_PLAIN,
                        text_table_heading(table, column));
    }
    g_string_append(page, "</tr></thead>\n");
}

static void append_table(GString *page, const char *title, TextTable *taken)
{
    g_autoptr(TextTable) table = taken;

    if (text_table_rows(table) == 0)
        return;
    g_string_append_printf(page, "<h2>%s</h2>\n<div class=\"wide\"><table>\n", title);
    append_headings(page, table);
    g_string_append(page, "<tbody>\n");
    for (unsigned row = 0; row < text_table_rows(table); row++)
        append_row(page, table, row);
    g_string_append(page, "</tbody></table></div>\n");
    if (text_table_left_out(table) > 0)
        g_string_append_printf(page, "<p class=\"faint\">... and %u more</p>\n",
                               text_table_left_out(table));
}

static void append_tables(GString *page, const ProbeResult *result)
{
    if (result->window) {
        append_table(page, "Filesystems", result_table_filesystems(result->window));
        append_table(page, "Left out of the freeze", result_table_skips(result->window));
        append_table(page, "Mounted during the hold", result_table_not_covered(result->window));
        append_table(page, "Hooks", result_table_hooks(result->window));
    }
    if (result->watch)
        append_table(page, "Devices", result_table_devices(result->watch));
    if (result->disks)
        append_table(page, "Filesystems on the disks", result_table_disks(result->disks));
    if (result->canaries)
        append_table(page, "Writers inside the guest", result_table_canaries(result->canaries));
}

/* ---- timeline and log ---- */

static void append_timeline(GString *page, const ProbeResult *result)
{
    g_autoptr(Timeline) timeline = timeline_new(result->window, result->watch, result->canaries);

    if (!timeline)
        return;
    g_string_append(page, "<h2>Timeline</h2>\n<figure>\n<div class=\"wide\">");
    draw_timeline(page, timeline);
    g_string_append_printf(
        page,
        "</div>\n<figcaption>Seconds after %s. Filesystems as the agent tells, laid on the host's "
        "clock by the freeze's reply; devices as the hypervisor counts.</figcaption>\n</figure>\n",
        timeline->has_window ? "the freeze's request" : "the first sample of the counters");
}

static void append_log(GString *page, const GPtrArray *log)
{
    if (!log || log->len == 0)
        return;
    g_string_append(page, "<h2>The end of the agent's log</h2>\n<pre>");
    for (unsigned i = log->len - MIN(log->len, REPORT_PAGE_LOG_LINES); i < log->len; i++) {
        markup_append(page, g_ptr_array_index(log, i));
        g_string_append_c(page, '\n');
    }
    g_string_append(page, "</pre>\n");
}

char *report_page(const ProbeResult *result)
{
    GString *page = g_string_new(NULL);

    append_head(page, result);
    append_verdict(page, result);
    append_facts(page, result);
    append_table(page, "Evidence", result_table_evidence(result->evidence));
    append_timeline(page, result);
    append_tables(page, result);
    append_log(page, result->log);
    g_string_append_printf(page,
                           "<footer>quiesce-probe %s %s. What the verdict and the evidence mean: "
                           "quiesce-probe(1).</footer>\n</body>\n</html>\n",
                           result->verb, QUIESCED_VERSION);
    return g_string_free(page, FALSE);
}
