/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-table.h"
#include "prober/terminal-text.h"
#include "prober/text-table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rows of one table; what is left out is counted. */
#define MAX_ROWS 64

static void print_table(TextTable *table, unsigned total, bool colour)
{
    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
    if (total > MAX_ROWS)
        printf("... and %u more\n", total - MAX_ROWS);
}

static void print_filesystems(const GuestWindow *window, bool colour)
{
    static const char *const headings[] = {
        "mount point", "type", "device", ">pre-sync", ">freeze", ">held", ">thaw", "outcome", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(window->filesystems->len, MAX_ROWS); i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        text_table_cell(table, filesystem->mount_point);
        text_table_cell(table, filesystem->fs_type);
        text_table_cell(table, filesystem->device);
        text_table_cell_duration(table, filesystem->presync_ms);
        text_table_cell_duration(table, filesystem->freeze_ms);
        text_table_cell_duration(table, filesystem->held_ms);
        text_table_cell_duration(table, filesystem->thaw_ms);
        text_table_cell(table,
                        filesystem->error_text ? filesystem->error_text : filesystem->outcome);
    }
    print_table(table, window->filesystems->len, colour);
}

/* A mount of something, and not one of the many that the kernel makes up. */
static bool has_device(const WindowSkip *skip)
{
    return skip->device && (skip->device[0] == '/' || strchr(skip->device, ':'));
}

/* Nobody misses /proc: what has no device stands in the JSON only. */
static void print_skips(const GuestWindow *window, bool colour)
{
    static const char *const headings[] = {"left out", "type", "device", "why", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);
    unsigned shown = 0;

    for (unsigned i = 0; i < window->skips->len; i++) {
        const WindowSkip *skip = g_ptr_array_index(window->skips, i);
        if (!has_device(skip) || ++shown > MAX_ROWS)
            continue;
        text_table_cell(table, skip->mount_point);
        text_table_cell(table, skip->fs_type);
        text_table_cell(table, skip->device);
        text_table_cell(table, skip->reason);
    }
    print_table(table, shown, colour);
}

/* Whatever they are: they could have been frozen, and were not. */
static void print_not_covered(const GuestWindow *window, bool colour)
{
    static const char *const headings[] = {"mounted in the hold", "type", "device", "", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(window->not_covered->len, MAX_ROWS); i++) {
        const WindowSkip *skip = g_ptr_array_index(window->not_covered, i);
        text_table_cell(table, skip->mount_point);
        text_table_cell(table, skip->fs_type);
        text_table_cell(table, skip->device);
        text_table_cell_tone(table, TERMINAL_DOUBT, "was not frozen");
    }
    print_table(table, window->not_covered->len, colour);
}

static void print_hooks(const GuestWindow *window, bool colour)
{
    static const char *const headings[] = {"hook", "event", ">took", "ended", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(window->hooks->len, MAX_ROWS); i++) {
        const WindowHook *hook = g_ptr_array_index(window->hooks, i);
        text_table_cell(table, hook->path);
        text_table_cell(table, hook->event);
        text_table_cell_duration(table, hook->duration_ms);
        if (hook->ok)
            text_table_cell_tone(table, TERMINAL_GOOD, "well");
        else
            text_table_cell_tone(table, TERMINAL_BAD,
                                 hook->error_text ? hook->error_text : "badly");
    }
    print_table(table, window->hooks->len, colour);
}

void render_table_line(const char *label, TerminalTone tone, bool colour, char *text)
{
    g_autofree char *taken = text;
    g_autofree char *escaped = terminal_text_escape(taken);

    printf("%-9s %s%s%s\n", label, terminal_text_begin(tone, colour), escaped,
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
    print_filesystems(window, colour);
    print_skips(window, colour);
    print_hooks(window, colour);
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
    print_filesystems(window, colour);
    print_not_covered(window, colour);
    print_hooks(window, colour);
}

static void print_devices(const CounterWatch *watch, bool colour)
{
    static const char *const headings[] = {"device",       ">writes before", ">freezing",
                                           ">in the hold", ">after",         NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(watch->devices->len, MAX_ROWS); i++) {
        const DeviceActivity *device = g_ptr_array_index(watch->devices, i);
        text_table_cell(table, device->name);
        for (unsigned phase = 0; phase < COUNTER_PHASES; phase++)
            text_table_cell_format(table, "%" PRIu64, device->phases[phase].writes);
    }
    print_table(table, watch->devices->len, colour);
}

static void print_canaries(const GPtrArray *records, bool colour)
{
    static const char *const headings[] = {
        "writer on", ">writes before", ">in the hold", ">after", ">longest pause", "", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(records->len, MAX_ROWS); i++) {
        const CanaryRecord *record = g_ptr_array_index(records, i);
        text_table_cell(table, record->mount_point);
        text_table_cell_format(table, "%" PRId64, record->writes_before);
        text_table_cell_format(table, "%" PRId64, record->writes_during);
        text_table_cell_format(table, "%" PRId64, record->writes_after);
        text_table_cell_duration(table, record->longest_gap_ms);
        text_table_cell(table, record->read_only ? "read-only" : record->error_text);
    }
    print_table(table, records->len, colour);
}

static TerminalTone stance_tone(EvidenceStance stance)
{
    static const TerminalTone tones[] = {
        [EVIDENCE_FOR] = TERMINAL_GOOD,
        [EVIDENCE_AGAINST] = TERMINAL_BAD,
        [EVIDENCE_SILENT] = TERMINAL_DOUBT,
    };

    return tones[stance];
}

void render_table_evidence(const GPtrArray *pieces, bool colour)
{
    static const char *const headings[] = {"evidence", "says", "because", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < pieces->len; i++) {
        const Evidence *evidence = g_ptr_array_index(pieces, i);
        text_table_cell(table, evidence_source_name(evidence->source));
        text_table_cell_tone(table, stance_tone(evidence->stance),
                             evidence_stance_name(evidence->stance));
        text_table_cell(table, evidence->summary);
        if (!evidence->remedy)
            continue;
        text_table_cell(table, "");
        text_table_cell(table, "");
        text_table_cell_format(table, "remedy: %s", evidence->remedy);
    }
    print_table(table, 0, colour);
}

void render_table_verdict(Verdict verdict, Consistency consistency, const char *what, bool colour)
{
    static const TerminalTone tones[] = {
        [VERDICT_FROZEN] = TERMINAL_GOOD,
        [VERDICT_NOT_FROZEN] = TERMINAL_BAD,
        [VERDICT_UNPROVEN] = TERMINAL_DOUBT,
    };
    TerminalTone tone = tones[verdict];

    printf("\nverdict   %s%s%s, %s is %s%s\n", terminal_text_begin(tone, colour),
           verdict_name(verdict), terminal_text_end(tone, colour), what,
           verdict == VERDICT_UNPROVEN ? "only known to be " : "", consistency_name(consistency));
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
    print_filesystems(window, colour);
    print_skips(window, colour);
    print_not_covered(window, colour);
    print_hooks(window, colour);
    if (report->watch)
        print_devices(report->watch, colour);
    print_canaries(report->canaries, colour);
    render_table_evidence(report->evidence, colour);
    if (report->judged)
        render_table_verdict(report->verdict, report->consistency, "a snapshot in this window",
                             colour);
    else
        printf("\nverdict   none, the procedure could not be completed\n");
}
