/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/result-tables.h"

#include <inttypes.h>
#include <string.h>

static TextTable *leave_out(TextTable *table, unsigned total)
{
    text_table_leave_out(table, total - MIN(total, RESULT_TABLE_MAX_ROWS));
    return table;
}

TextTable *result_table_filesystems(const GuestWindow *window)
{
    static const char *const headings[] = {
        "mount point", "type", "device", ">pre-sync", ">freeze", ">held", ">thaw", "outcome", NULL};
    TextTable *table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(window->filesystems->len, RESULT_TABLE_MAX_ROWS); i++) {
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
    return leave_out(table, window->filesystems->len);
}

/* A mount of something, and not one of the many that the kernel makes up. */
static bool has_device(const WindowSkip *skip)
{
    return skip->device && (skip->device[0] == '/' || strchr(skip->device, ':'));
}

TextTable *result_table_skips(const GuestWindow *window)
{
    static const char *const headings[] = {"left out", "type", "device", "why", NULL};
    TextTable *table = text_table_new(headings);
    unsigned shown = 0;

    for (unsigned i = 0; i < window->skips->len; i++) {
        const WindowSkip *skip = g_ptr_array_index(window->skips, i);
        if (!has_device(skip) || ++shown > RESULT_TABLE_MAX_ROWS)
            continue;
        text_table_cell(table, skip->mount_point);
        text_table_cell(table, skip->fs_type);
        text_table_cell(table, skip->device);
        text_table_cell(table, skip->reason);
    }
    return leave_out(table, shown);
}

/* Whatever they are: they could have been frozen, and were not. */
TextTable *result_table_not_covered(const GuestWindow *window)
{
    static const char *const headings[] = {"mounted in the hold", "type", "device", "", NULL};
    TextTable *table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(window->not_covered->len, RESULT_TABLE_MAX_ROWS); i++) {
        const WindowSkip *skip = g_ptr_array_index(window->not_covered, i);
        text_table_cell(table, skip->mount_point);
        text_table_cell(table, skip->fs_type);
        text_table_cell(table, skip->device);
        text_table_cell_tone(table, TERMINAL_DOUBT, "was not frozen");
    }
    return leave_out(table, window->not_covered->len);
}

TextTable *result_table_hooks(const GuestWindow *window)
{
    static const char *const headings[] = {"hook", "event", ">took", "ended", NULL};
    TextTable *table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(window->hooks->len, RESULT_TABLE_MAX_ROWS); i++) {
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
    return leave_out(table, window->hooks->len);
}

TextTable *result_table_devices(const CounterWatch *watch)
{
    static const char *const headings[] = {"device",       ">writes before", ">freezing",
                                           ">in the hold", ">after",         NULL};
    TextTable *table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(watch->devices->len, RESULT_TABLE_MAX_ROWS); i++) {
        const DeviceActivity *device = g_ptr_array_index(watch->devices, i);
        text_table_cell(table, device->name);
        for (unsigned phase = 0; phase < COUNTER_PHASES; phase++)
            text_table_cell_format(table, "%" PRIu64, device->phases[phase].writes);
    }
    return leave_out(table, watch->devices->len);
}

static void cell_disk_phase(TextTable *table, const DiskPhaseSummary *summary)
{
    text_table_cell(table, summary->readings > 0 ? disk_state_name(summary->state) : "");
}

TextTable *result_table_disks(const DiskHistory *history)
{
    static const char *const headings[] = {"on disk",     "type",    "before",
                                           "in the hold", "because", NULL};
    TextTable *table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(history->tracks->len, RESULT_TABLE_MAX_ROWS); i++) {
        const DiskTrack *track = g_ptr_array_index(history->tracks, i);
        const DiskPhaseSummary *hold = &track->phases[DISK_PHASE_HOLD];
        text_table_cell(table, track->volume);
        text_table_cell(table, track->fs_type);
        cell_disk_phase(table, &track->phases[DISK_PHASE_BEFORE]);
        cell_disk_phase(table, hold);
        text_table_cell(table, hold->because);
    }
    return leave_out(table, history->tracks->len);
}

TextTable *result_table_canaries(const GPtrArray *records)
{
    static const char *const headings[] = {
        "writer on", ">writes before", ">in the hold", ">after", ">longest pause", "", NULL};
    TextTable *table = text_table_new(headings);

    for (unsigned i = 0; i < MIN(records->len, RESULT_TABLE_MAX_ROWS); i++) {
        const CanaryRecord *record = g_ptr_array_index(records, i);
        text_table_cell(table, record->mount_point);
        text_table_cell_format(table, "%" PRId64, record->writes_before);
        text_table_cell_format(table, "%" PRId64, record->writes_during);
        text_table_cell_format(table, "%" PRId64, record->writes_after);
        text_table_cell_duration(table, record->longest_gap_ms);
        text_table_cell(table, record->read_only ? "read-only" : record->error_text);
    }
    return leave_out(table, records->len);
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

TextTable *result_table_evidence(const GPtrArray *pieces)
{
    static const char *const headings[] = {"evidence", "says", "because", NULL};
    TextTable *table = text_table_new(headings);

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
    return table;
}

TerminalTone result_table_tone(Verdict verdict)
{
    static const TerminalTone tones[] = {
        [VERDICT_FROZEN] = TERMINAL_GOOD,
        [VERDICT_NOT_FROZEN] = TERMINAL_BAD,
        [VERDICT_UNPROVEN] = TERMINAL_DOUBT,
    };

    return tones[verdict];
}
