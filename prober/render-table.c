/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-table.h"
#include "prober/render-inspect.h"
#include "prober/result-tables.h"
#include "prober/terminal-text.h"
#include "prober/text-table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_table(TextTable *taken, bool colour)
{
    g_autoptr(TextTable) table = taken;

    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
}

/* The width of what stands before a line's text. */
#define LABEL 10

void render_table_line(const char *label, TerminalTone tone, bool colour, char *text)
{
    g_autofree char *taken = text;
    g_autofree char *escaped = terminal_text_escape(taken);
    g_autofree char *shown = terminal_text_wrap(escaped, terminal_text_width(stdout), LABEL);

    printf("%-*s %s%s%s\n", LABEL - 1, label, terminal_text_begin(tone, colour), shown,
           terminal_text_end(tone, colour));
}

static const char *noun(int64_t count)
{
    return count == 1 ? "filesystem" : "filesystems";
}

void render_table_freeze(const GuestWindow *window, bool colour)
{
    render_table_line("frozen", TERMINAL_PLAIN, colour,
                      g_strdup_printf("%" PRId64 " %s in %.1f ms", window->frozen_count,
                                      noun(window->frozen_count),
                                      (double)window->freeze_us / 1000));
    if (window->frozen_count > 0 && window->hold_timeout_ms > 0)
        render_table_line("limit", TERMINAL_PLAIN, colour,
                          g_strdup_printf("the guest thaws by itself after %" PRId64 " s",
                                          window->hold_timeout_ms / 1000));
    print_table(result_table_filesystems(window), colour);
    print_table(result_table_skips(window), colour);
    print_table(result_table_hooks(window), colour);
}

/* Filesystems that somebody else thawed are listed, though none is counted. */
static bool thawed_nothing(const GuestWindow *window)
{
    return window->thaw_replied && window->thawed_count == 0 && window->thaw_tries == 1 &&
           window->filesystems->len == 0;
}

void render_table_thaw(const GuestWindow *window, bool colour)
{
    if (thawed_nothing(window)) {
        render_table_line("thawed", TERMINAL_PLAIN, colour, g_strdup("nothing was frozen"));
        return;
    }
    render_table_line("thawed", TERMINAL_PLAIN, colour,
                      g_strdup_printf("%" PRId64 " %s in %.1f ms", window->thawed_count,
                                      noun(window->thawed_count), (double)window->thaw_us / 1000));
    if (window->thaw_error)
        render_table_line("answer", TERMINAL_BAD, colour, g_strdup(window->thaw_error));
    if (window->intact_known && !window->intact)
        render_table_line("window", TERMINAL_BAD, colour,
                          g_strdup_printf("broken: %s", window->broken_reason));
    print_table(result_table_filesystems(window), colour);
    print_table(result_table_not_covered(window), colour);
    print_table(result_table_hooks(window), colour);
}

void render_table_evidence(const GPtrArray *pieces, bool colour)
{
    print_table(result_table_evidence(pieces), colour);
}

void render_table_verdict(Verdict verdict, Consistency consistency, const char *what, bool colour)
{
    TerminalTone tone = result_table_tone(verdict);

    const char *name = verdict_name(verdict);
    g_autofree char *text = g_strdup_printf("%s, %s is %s%s", name, what,
                                            verdict == VERDICT_UNPROVEN ? "only known to be " : "",
                                            consistency_name(consistency));
    g_autofree char *shown = terminal_text_wrap(text, terminal_text_width(stdout), LABEL);

    /* The verdict alone is coloured; it is never broken, as it stands first. */
    printf("\n%-*s %s%s%s%s\n", LABEL - 1, "verdict", terminal_text_begin(tone, colour), name,
           terminal_text_end(tone, colour), shown + strlen(name));
}

void render_table_verify(const VerifyReport *report, const char *guest_name, bool colour)
{
    const GuestWindow *window = report->window;

    if (report->profile)
        render_table_line("guest", TERMINAL_PLAIN, colour,
                          g_strdup_printf("%s at %s, version %s",
                                          agent_profile_kind(report->profile), guest_name,
                                          report->profile->version));
    if (window->freeze_replied)
        render_table_line(
            "window", TERMINAL_PLAIN, colour,
            g_strdup_printf(
                "froze %" PRId64 " %s in %.1f ms, held %.2f s, thawed in %.1f ms",
                window->frozen_count, noun(window->frozen_count), (double)window->freeze_us / 1000,
                (double)window->hold_us / G_USEC_PER_SEC, (double)window->thaw_us / 1000));
    print_table(result_table_filesystems(window), colour);
    print_table(result_table_skips(window), colour);
    print_table(result_table_not_covered(window), colour);
    print_table(result_table_hooks(window), colour);
    if (report->watch)
        print_table(result_table_devices(report->watch), colour);
    if (report->disks)
        render_table_disk_history(report->disks, colour);
    print_table(result_table_canaries(report->canaries), colour);
    render_table_evidence(report->evidence, colour);
    if (report->judged)
        render_table_verdict(report->verdict, report->consistency, "a snapshot in this window",
                             colour);
    else
        printf("\nverdict   none, the procedure could not be completed\n");
}
