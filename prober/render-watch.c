/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-watch.h"
#include "prober/observed-freeze.h"
#include "prober/render-json.h"
#include "prober/render-table.h"
#include "prober/text-table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_ROWS 256

/* ---- for people ---- */

/* "02:24:53.123", in UTC: of a moment of the host's monotonic clock. */
static char *time_text(const WatchReport *report, int64_t at_us)
{
    int64_t real_us = at_us + report->real_time_us;
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(real_us / G_USEC_PER_SEC);
    g_autofree char *seconds = time ? g_date_time_format(time, "%H:%M:%S") : g_strdup("?");

    return g_strdup_printf("%s.%03d", seconds, (int)(real_us % G_USEC_PER_SEC / 1000));
}

static void print_command(const WatchReport *report, const char *const *arguments, bool colour)
{
    if (!report->command_ran)
        return;
    bool well = !report->command_end.by_signal && report->command_end.number == 0;
    g_autofree char *words = g_strjoinv(" ", (char **)(gpointer)arguments);
    g_autofree char *end = command_end_text(&report->command_end);
    render_table_line("command", well ? TERMINAL_PLAIN : TERMINAL_BAD, colour,
                      g_strdup_printf("%s: %s", end, words));
}

static uint64_t writes_in_hold(const ObservedFreeze *freeze)
{
    uint64_t writes = 0;

    for (unsigned i = 0; freeze->activity && i < freeze->activity->devices->len; i++) {
        const DeviceActivity *device = g_ptr_array_index(freeze->activity->devices, i);
        writes += device->phases[COUNTER_PHASE_HOLD].writes;
    }
    return writes;
}

/* By the host's clock where the freeze has a place on it, else by the guest's. */
static char *freeze_time(const WatchReport *report, const ObservedFreeze *freeze)
{
    if (freeze->placed)
        return time_text(report, freeze->when.frozen_us);
    return history_record_time(freeze->began_at_us);
}

static void print_freezes(const WatchReport *report, bool colour)
{
    static const char *const headings[] = {"frozen (UTC)", "who froze", ">filesystems",
                                           ">held",        "window",    ">disk writes in it",
                                           "because",      NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(report->freezes->len, MAX_ROWS); i++) {
        const ObservedFreeze *freeze = g_ptr_array_index(report->freezes, i);
        bool known = freeze->command != NULL;
        g_autofree char *time = freeze_time(report, freeze);
        text_table_cell(table, time);
        text_table_cell(table, known ? freeze->command : "not told");
        if (known && freeze->window->detailed)
            text_table_cell_format(table, "%" PRId64, freeze->window->frozen_count);
        else
            text_table_cell(table, "");
        text_table_cell_duration(table, freeze->held_ms);
        text_table_cell_tone(table, freeze->end == HISTORY_INTACT ? TERMINAL_PLAIN : TERMINAL_BAD,
                             known ? history_end_name(freeze->end) : "");
        if (freeze->activity)
            text_table_cell_format(table, "%" PRIu64, writes_in_hold(freeze));
        else
            text_table_cell(table, "");
        text_table_cell(table, freeze->reason);
    }
    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
}

static void print_stills(const WatchReport *report, bool colour)
{
    static const char *const headings[] = {"all busy disks stood still", ">for", NULL};
    const GArray *stills = report->judgement->stills;
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(stills->len, MAX_ROWS); i++) {
        const ActivityStill *still = &g_array_index(stills, ActivityStill, i);
        g_autofree char *from = time_text(report, still->from_us);
        g_autofree char *to = time_text(report, still->to_us);
        text_table_cell_format(table, "from %s to %s", from, to);
        text_table_cell_duration(table, (double)(still->to_us - still->from_us) / 1000);
    }
    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
}

static void print_disks(const ActivityLog *activity, bool colour)
{
    static const char *const headings[] = {"disk", ">samples", ">with writes", ">longest pause",
                                           NULL};
    g_autoptr(GPtrArray) rhythms = activity_log_rhythms(activity);
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(rhythms->len, MAX_ROWS); i++) {
        const ActivityRhythm *rhythm = g_ptr_array_index(rhythms, i);
        text_table_cell(table, rhythm->name);
        text_table_cell_format(table, "%u", rhythm->intervals);
        text_table_cell_format(table, "%u", rhythm->moved);
        text_table_cell_duration(table, (double)rhythm->longest_pause_us / 1000);
    }
    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
}

static void print_judgement(const WatchReport *report, bool colour)
{
    const WatchJudgement *judgement = report->judgement;

    print_freezes(report, colour);
    print_stills(report, colour);
    if (report->activity)
        print_disks(report->activity, colour);
    render_table_evidence(judgement->evidence, colour);
    if (judgement->nobody_froze || report->frozen_at_end)
        printf("\n");
    if (judgement->nobody_froze)
        render_table_line("freeze", TERMINAL_BAD, colour,
                          g_strdup("nobody froze the guest meanwhile"));
    if (report->frozen_at_end)
        render_table_line("freeze", TERMINAL_BAD, colour,
                          g_strdup("THE GUEST IS FROZEN STILL, by somebody else's doing"));
    render_table_verdict(judgement->verdict, judgement->consistency,
                         report->freezes->len > 0 ? "a snapshot taken while it was frozen"
                                                  : "a snapshot taken meanwhile",
                         colour);
}

void render_watch_table(const WatchReport *report, const char *guest_name,
                        const char *const *arguments, bool colour)
{
    if (!report->judgement)
        return;
    if (report->profile)
        render_table_line("guest", TERMINAL_PLAIN, colour,
                          g_strdup_printf("%s at %s, version %s",
                                          agent_profile_kind(report->profile), guest_name,
                                          report->profile->version));
    g_autofree char *began = history_record_time(report->began_us + report->real_time_us);
    render_table_line(
        "watched", TERMINAL_PLAIN, colour,
        g_strdup_printf("%.1f s from %s UTC, %u readings of the counters",
                        (double)(report->ended_us - report->began_us) / G_USEC_PER_SEC, began,
                        report->activity ? activity_log_samples(report->activity) : 0));
    print_command(report, arguments, colour);
    print_judgement(report, colour);
}

/* ---- for programs ---- */

static void write_command(JsonWriter *writer, const WatchReport *report,
                          const char *const *arguments)
{
    if (!report->command_ran)
        return;
    json_writer_begin_object(writer, "command");
    json_writer_begin_array(writer, "arguments");
    for (; *arguments; arguments++)
        json_writer_string(writer, NULL, *arguments);
    json_writer_end_array(writer);
    json_writer_integer(writer, report->command_end.by_signal ? "signal" : "exit-status",
                        report->command_end.number);
    json_writer_end_object(writer);
}

static void write_guest_time(JsonWriter *writer, const char *name, int64_t at_us)
{
    if (at_us != 0)
        json_writer_integer(writer, name, at_us);
}

static void write_freeze(JsonWriter *writer, const WatchReport *report,
                         const ObservedFreeze *freeze)
{
    json_writer_begin_object(writer, NULL);
    json_writer_optional_string(writer, "command", freeze->command);
    json_writer_optional_string(writer, "thaw-command", freeze->thaw_command);
    write_guest_time(writer, "began-at-us", freeze->began_at_us);
    write_guest_time(writer, "frozen-at-us", freeze->frozen_at_us);
    write_guest_time(writer, "thawed-at-us", freeze->thawed_at_us);
    if (freeze->placed) {
        json_writer_integer(writer, "host-frozen-at-us",
                            freeze->when.frozen_us + report->real_time_us);
        json_writer_integer(writer, "host-thaw-at-us", freeze->when.thaw_us + report->real_time_us);
    }
    if (freeze->held_ms >= 0)
        json_writer_number(writer, "held-ms", freeze->held_ms);
    if (freeze->command)
        json_writer_boolean(writer, "intact", freeze->end == HISTORY_INTACT);
    json_writer_optional_string(writer, "reason", freeze->reason);
    if (freeze->window->detailed)
        json_writer_integer(writer, "filesystem-count", freeze->window->frozen_count);
    if (freeze->activity)
        render_json_devices(writer, freeze->activity);
    json_writer_end_object(writer);
}

static void write_stills(JsonWriter *writer, const WatchReport *report)
{
    const GArray *stills = report->judgement->stills;

    json_writer_begin_array(writer, "stills");
    for (unsigned i = 0; i < stills->len; i++) {
        const ActivityStill *still = &g_array_index(stills, ActivityStill, i);
        json_writer_begin_object(writer, NULL);
        json_writer_integer(writer, "from-at-us", still->from_us + report->real_time_us);
        json_writer_integer(writer, "to-at-us", still->to_us + report->real_time_us);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_disks(JsonWriter *writer, const ActivityLog *activity)
{
    g_autoptr(GPtrArray) rhythms = activity_log_rhythms(activity);

    json_writer_begin_array(writer, "disks");
    for (unsigned i = 0; i < rhythms->len; i++) {
        const ActivityRhythm *rhythm = g_ptr_array_index(rhythms, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "name", rhythm->name);
        json_writer_unsigned(writer, "intervals", rhythm->intervals);
        json_writer_unsigned(writer, "intervals-with-writes", rhythm->moved);
        json_writer_number(writer, "longest-pause-ms", (double)rhythm->longest_pause_us / 1000);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_judgement(JsonWriter *writer, const WatchReport *report)
{
    const WatchJudgement *judgement = report->judgement;

    json_writer_string(writer, "verdict", judgement ? verdict_name(judgement->verdict) : NULL);
    json_writer_string(writer, "consistency",
                       judgement ? consistency_name(judgement->consistency) : NULL);
    if (!judgement)
        return;
    json_writer_boolean(writer, "nobody-froze", judgement->nobody_froze);
    json_writer_boolean(writer, "guest-may-be-frozen", report->frozen_at_end);
    json_writer_integer(writer, "began-at-us", report->began_us + report->real_time_us);
    json_writer_number(writer, "watched-ms", (double)(report->ended_us - report->began_us) / 1000);
    render_json_evidence(writer, judgement->evidence);
    json_writer_begin_array(writer, "freezes");
    for (unsigned i = 0; i < report->freezes->len; i++)
        write_freeze(writer, report, g_ptr_array_index(report->freezes, i));
    json_writer_end_array(writer);
    write_stills(writer, report);
    if (report->activity)
        write_disks(writer, report->activity);
}

void render_watch_json(const WatchReport *report, const Target *target,
                       const char *const *arguments)
{
    JsonWriter *writer = render_json_begin("watch", target);

    if (report->profile)
        render_json_agent(writer, report->profile);
    json_writer_optional_string(writer, "error", report->failure);
    write_command(writer, report, arguments);
    write_judgement(writer, report);
    render_json_end(writer);
}
