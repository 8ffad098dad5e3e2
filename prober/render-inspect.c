/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-inspect.h"
#include "prober/disk/filesystem-state.h"
#include "prober/disk/volume.h"
#include "prober/render-json.h"
#include "prober/render-table.h"
#include "prober/result-tables.h"
#include "prober/text-table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Rows of one table; what is left out is counted. */
#define MAX_ROWS 128

static TerminalTone state_tone(DiskState state)
{
    static const TerminalTone tones[] = {
        [DISK_STATE_QUIET] = TERMINAL_GOOD,
        [DISK_STATE_IN_USE] = TERMINAL_BAD,
        [DISK_STATE_UNKNOWN] = TERMINAL_DOUBT,
    };

    return tones[state];
}

static const char *fact(const FilesystemState *state, const char *name)
{
    for (unsigned i = 0; i < state->facts->len; i++) {
        const DiskFact *known = g_ptr_array_index(state->facts, i);
        if (strcmp(known->name, name) == 0)
            return known->value;
    }
    return "";
}

static const char *text(const char *string)
{
    return string ? string : "";
}

static void print_table(const TextTable *table, unsigned total, bool colour)
{
    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
    if (total > MAX_ROWS)
        printf("... and %u more\n", total - MAX_ROWS);
}

/* ---- inspect, for people ---- */

static void print_image(const InspectedImage *image, bool colour)
{
    g_autofree char *size = g_format_size_full(image->size, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *read = g_format_size_full(image->bytes_read, G_FORMAT_SIZE_IEC_UNITS);

    render_table_line("image", TERMINAL_PLAIN, colour,
                      g_strdup_printf("%s, %s, of which %s were read", image->address, size, read));
}

static void print_state(TextTable *table, const FilesystemState *state)
{
    text_table_cell(table, state->volume);
    text_table_cell(table, text(state->fs_type));
    text_table_cell(table, text(state->uuid));
    text_table_cell_tone(table, state_tone(state->state), disk_state_name(state->state));
    text_table_cell(table, fact(state, "last write"));
    text_table_cell(table, state->because);
    if (!state->remedy)
        return;
    for (unsigned i = 0; i < 5; i++)
        text_table_cell(table, "");
    text_table_cell_format(table, "remedy: %s", state->remedy);
}

/* What no filesystem was looked for in. */
static bool is_other(const Volume *volume)
{
    return volume->kind == VOLUME_NO_DATA || volume->kind == VOLUME_UNKNOWN;
}

static void print_others(const GPtrArray *volumes, bool colour)
{
    static const char *const headings[] = {"volume", "holds no filesystem", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);
    unsigned shown = 0;

    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        if (!is_other(volume) || ++shown > MAX_ROWS)
            continue;
        text_table_cell(table, volume->name);
        text_table_cell(table, volume->note ? volume->note : text(volume->fs_type));
    }
    print_table(table, shown, colour);
}

void render_table_inspect(const InspectReport *report, bool colour)
{
    static const char *const headings[] = {"filesystem on", "type",    "uuid", "state",
                                           "last write",    "because", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < report->images->len; i++)
        print_image(g_ptr_array_index(report->images, i), colour);
    for (unsigned i = 0; i < MIN(report->states->len, MAX_ROWS); i++)
        print_state(table, g_ptr_array_index(report->states, i));
    print_table(table, report->states->len, colour);
    print_others(report->volumes, colour);
    render_table_evidence(report->evidence, colour);
    render_table_verdict(report->verdict, report->consistency, "what is in these images", colour);
}

/* ---- inspect, for programs ---- */

static void write_facts(JsonWriter *writer, const GPtrArray *facts)
{
    json_writer_begin_array(writer, "facts");
    for (unsigned i = 0; i < facts->len; i++) {
        const DiskFact *known = g_ptr_array_index(facts, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "name", known->name);
        json_writer_string(writer, "value", known->value);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_state(JsonWriter *writer, const FilesystemState *state)
{
    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "volume", state->volume);
    json_writer_optional_string(writer, "type", state->fs_type);
    json_writer_optional_string(writer, "uuid", state->uuid);
    json_writer_optional_string(writer, "label", state->label);
    json_writer_string(writer, "state", disk_state_name(state->state));
    json_writer_boolean(writer, "unmounted", state->unmounted);
    json_writer_string(writer, "because", state->because);
    json_writer_optional_string(writer, "remedy", state->remedy);
    write_facts(writer, state->facts);
    json_writer_end_object(writer);
}

static void write_images(JsonWriter *writer, const GPtrArray *images)
{
    json_writer_begin_array(writer, "images");
    for (unsigned i = 0; i < images->len; i++) {
        const InspectedImage *image = g_ptr_array_index(images, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "address", image->address);
        json_writer_unsigned(writer, "bytes", image->size);
        json_writer_unsigned(writer, "bytes-read", image->bytes_read);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_others(JsonWriter *writer, const GPtrArray *volumes)
{
    json_writer_begin_array(writer, "other-volumes");
    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        if (!is_other(volume))
            continue;
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "volume", volume->name);
        json_writer_optional_string(writer, "type", volume->fs_type);
        json_writer_optional_string(writer, "note", volume->note);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

void render_json_inspect(JsonWriter *writer, const InspectReport *report)
{
    json_writer_string(writer, "verdict", verdict_name(report->verdict));
    json_writer_string(writer, "consistency", consistency_name(report->consistency));
    render_json_evidence(writer, report->evidence);
    write_images(writer, report->images);
    json_writer_begin_array(writer, "disk-filesystems");
    for (unsigned i = 0; i < report->states->len; i++)
        write_state(writer, g_ptr_array_index(report->states, i));
    json_writer_end_array(writer);
    write_others(writer, report->volumes);
}

/* ---- verify ---- */

void render_table_disk_history(const DiskHistory *history, bool colour)
{
    g_autoptr(TextTable) table = result_table_disks(history);

    print_table(table, text_table_rows(table), colour);
}

static void write_summary(JsonWriter *writer, const char *name, const DiskPhaseSummary *summary)
{
    if (summary->readings == 0)
        return;
    json_writer_begin_object(writer, name);
    json_writer_integer(writer, "readings", summary->readings);
    json_writer_string(writer, "state", disk_state_name(summary->state));
    json_writer_optional_string(writer, "because", summary->because);
    json_writer_optional_string(writer, "remedy", summary->remedy);
    json_writer_unsigned(writer, "first-generation", summary->first_generation);
    json_writer_unsigned(writer, "last-generation", summary->last_generation);
    json_writer_end_object(writer);
}

void render_json_disk_history(JsonWriter *writer, const DiskHistory *history)
{
    json_writer_begin_array(writer, "disk-filesystems");
    for (unsigned i = 0; i < history->tracks->len; i++) {
        const DiskTrack *track = g_ptr_array_index(history->tracks, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "volume", track->volume);
        json_writer_optional_string(writer, "type", track->fs_type);
        json_writer_optional_string(writer, "uuid", track->uuid);
        write_summary(writer, "before", &track->phases[DISK_PHASE_BEFORE]);
        write_summary(writer, "hold", &track->phases[DISK_PHASE_HOLD]);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}
