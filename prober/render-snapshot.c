/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-snapshot.h"
#include "prober/render-json.h"
#include "prober/render-table.h"
#include "prober/text-table.h"

#include <inttypes.h>
#include <stdio.h>

static void print_disks(const GPtrArray *disks, bool colour)
{
    static const char *const headings[] = {"disk", "the snapshot, frozen in time",
                                           "the guest goes on in", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        text_table_cell(table, disk->name);
        text_table_cell(table, disk->image);
        text_table_cell(table, disk->new_image);
    }
    printf("\n");
    text_table_print(table, stdout, colour);
}

void render_snapshot_table(const SnapshotReport *report, const char *guest_name, bool colour)
{
    const GuestWindow *window = report->window;

    if (report->profile)
        render_table_line("guest", TERMINAL_PLAIN, colour,
                          g_strdup_printf("%s at %s, version %s",
                                          agent_profile_kind(report->profile), guest_name,
                                          report->profile->version));
    if (report->frozen)
        render_table_line("window", TERMINAL_PLAIN, colour,
                          g_strdup_printf("froze %" PRId64 " filesystems in %.1f ms, held %.1f ms, "
                                          "%.1f ms of it for the snapshot, thawed in %.1f ms",
                                          window->frozen_count, (double)window->freeze_us / 1000,
                                          (double)window->hold_us / 1000,
                                          (double)report->transaction_us / 1000,
                                          (double)window->thaw_us / 1000));
    if (!report->taken) {
        printf("\nsnapshot  none\n");
        return;
    }
    print_disks(report->disks, colour);
    render_table_evidence(report->evidence, colour);
    render_table_verdict(report->verdict, report->consistency, "this snapshot", colour);
}

static void write_disks(JsonWriter *writer, const GPtrArray *disks)
{
    json_writer_begin_array(writer, "snapshots");
    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "name", disk->name);
        json_writer_optional_string(writer, "image", disk->image);
        json_writer_optional_string(writer, "format", disk->format);
        json_writer_string(writer, "new-image", disk->new_image);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

void render_snapshot_json(const SnapshotReport *report, const Target *target)
{
    JsonWriter *writer = render_json_begin("snapshot", target);

    if (report->profile)
        render_json_agent(writer, report->profile);
    json_writer_string(writer, "verdict", report->judged ? verdict_name(report->verdict) : NULL);
    json_writer_string(writer, "consistency",
                       report->judged ? consistency_name(report->consistency) : NULL);
    json_writer_optional_string(writer, "error", report->failure);
    json_writer_boolean(writer, "guest-may-be-frozen", report->unthawed);
    if (!report->unsure)
        json_writer_boolean(writer, "taken", report->taken);
    if (report->taken) {
        json_writer_number(writer, "snapshot-ms", (double)report->transaction_us / 1000);
        write_disks(writer, report->disks);
        render_json_evidence(writer, report->evidence);
    }
    if (report->frozen)
        render_json_window(writer, report->window);
    render_json_end(writer);
}
