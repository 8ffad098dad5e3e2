/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-report.h"
#include "platform/filesystem-kind.h"

#include <stdatomic.h>
#include <sys/sysmacros.h>

static double in_ms(int64_t us)
{
    return (double)us / 1000;
}

void freeze_report_write_moment(JsonWriter *writer, const char *name, const FreezeWindow *window,
                                int64_t moment)
{
    if (moment != 0)
        json_writer_integer(writer, name, freeze_window_wall_clock(window, moment));
}

void freeze_report_write_duration(JsonWriter *writer, const char *name, int64_t us)
{
    if (us >= 0)
        json_writer_number(writer, name, in_ms(us));
}

static void write_identity(JsonWriter *writer, const FreezeSlot *slot)
{
    g_autofree char *number = g_strdup_printf("%u:%u", major(slot->device), minor(slot->device));

    json_writer_string(writer, "mountpoint", slot->mount_point);
    json_writer_string(writer, "type", slot->fs_type);
    json_writer_string(writer, "device", slot->source);
    json_writer_string(writer, "device-number", number);
    json_writer_optional_string(writer, "uuid", slot->uuid[0] ? slot->uuid : NULL);
}

static void write_hooks(JsonWriter *writer, const char *name, const GPtrArray *hooks)
{
    json_writer_begin_array(writer, name);
    for (unsigned i = 0; hooks && i < hooks->len; i++) {
        const HookResult *hook = g_ptr_array_index(hooks, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "path", hook->path);
        json_writer_boolean(writer, "ok", hook->ok);
        json_writer_number(writer, "duration-ms", in_ms(hook->duration_us));
        json_writer_optional_string(writer, "error", hook->error_text);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_skip(JsonWriter *writer, const char *mount_point, const char *type,
                       const char *device, const char *reason)
{
    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "mountpoint", mount_point ? mount_point : "");
    json_writer_string(writer, "type", type ? type : "");
    json_writer_string(writer, "device", device ? device : "");
    json_writer_string(writer, "reason", reason);
    json_writer_end_object(writer);
}

static void write_frozen_slot(JsonWriter *writer, const FreezeWindow *window,
                              const FreezeSlot *slot)
{
    json_writer_begin_object(writer, NULL);
    write_identity(writer, slot);
    json_writer_integer(writer, "wave", slot->wave);
    freeze_report_write_duration(writer, "presync-ms", slot->presync_us);
    freeze_report_write_duration(writer, "freeze-ms", slot->freeze_us);
    freeze_report_write_moment(writer, "frozen-at-us", window, slot->frozen_at);
    json_writer_end_object(writer);
}

static FreezeOutcome outcome_of(const FreezeSlot *slot)
{
    return (FreezeOutcome)atomic_load(&slot->outcome);
}

/* What is no mount point has no type. */
static bool is_pseudo(const FreezeSkip *skip)
{
    return skip->fs_type && filesystem_kind(skip->fs_type) == FILESYSTEM_PSEUDO;
}

typedef enum { SKIPPED_ALL, SKIPPED_WITH_DATA } SkippedWanted;

/* What the plan left out, and what turned out not to be freezable or frozen by others. Without the
 * pseudo filesystems, which are many, for what is kept. */
static void write_skipped(JsonWriter *writer, const FreezeWindow *window, SkippedWanted wanted)
{
    json_writer_begin_array(writer, "skipped");
    for (unsigned i = 0; i < window->plan->skips->len; i++) {
        const FreezeSkip *skip = g_ptr_array_index(window->plan->skips, i);
        if (wanted == SKIPPED_WITH_DATA && is_pseudo(skip))
            continue;
        write_skip(writer, skip->mount_point, skip->fs_type, skip->source, skip->reason);
    }
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++) {
        const FreezeSlot *slot = &window->board->slots[i];
        const char *reason = freeze_outcome_skip_reason(outcome_of(slot));
        if (reason)
            write_skip(writer, slot->mount_point, slot->fs_type, slot->source, reason);
    }
    json_writer_end_array(writer);
}

void freeze_report_write_freeze(JsonWriter *writer, const char *name, const FreezeWindow *window)
{
    json_writer_begin_object(writer, name);
    json_writer_integer(writer, "count", freeze_window_count(window, FREEZE_FROZEN));
    json_writer_number(writer, "hold-timeout-ms", in_ms(window->options.hold_timeout_us));
    json_writer_begin_array(writer, "filesystems");
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++)
        if (outcome_of(&window->board->slots[i]) == FREEZE_FROZEN)
            write_frozen_slot(writer, window, &window->board->slots[i]);
    json_writer_end_array(writer);
    write_skipped(writer, window, SKIPPED_ALL);
    write_hooks(writer, "hooks", window->freeze_hooks);
    json_writer_end_object(writer);
}

static void write_canary(JsonWriter *writer, const FreezeWindow *window, unsigned index)
{
    if (!window->canary_reports || index >= window->canary_reports->len)
        return;
    const CanaryReport *report = &g_array_index(window->canary_reports, CanaryReport, index);
    json_writer_begin_object(writer, "canary");
    json_writer_unsigned(writer, "writes-before", report->writes_before);
    json_writer_unsigned(writer, "writes-during", report->writes_during);
    json_writer_unsigned(writer, "writes-after", report->writes_after);
    freeze_report_write_duration(writer, "longest-gap-ms", report->longest_gap_us);
    freeze_report_write_moment(writer, "gap-start-at-us", window, report->gap_start_at);
    freeze_report_write_moment(writer, "gap-end-at-us", window, report->gap_end_at);
    json_writer_optional_string(writer, "error", report->error);
    json_writer_end_object(writer);
}

static void write_thawed_slot(JsonWriter *writer, const FreezeWindow *window, unsigned index)
{
    const FreezeSlot *slot = &window->board->slots[index];
    int error_number = atomic_load(&slot->error_number);

    json_writer_begin_object(writer, NULL);
    write_identity(writer, slot);
    json_writer_string(writer, "outcome", freeze_outcome_name(outcome_of(slot)));
    if (error_number != 0)
        json_writer_string(writer, "error", g_strerror(error_number));
    freeze_report_write_moment(writer, "frozen-at-us", window, slot->frozen_at);
    freeze_report_write_moment(writer, "thawed-at-us", window, slot->thawed_at);
    if (slot->thawed_at != 0)
        freeze_report_write_duration(writer, "held-ms", slot->thawed_at - slot->frozen_at);
    freeze_report_write_duration(writer, "thaw-ms", slot->thaw_us);
    write_canary(writer, window, index);
    json_writer_end_object(writer);
}

/* Filesystems that appeared during the hold: the snapshot may have them, but not frozen. */
static void write_not_covered(JsonWriter *writer, const FreezeWindow *window)
{
    json_writer_begin_array(writer, "not-covered");
    for (unsigned i = 0; window->not_covered && i < window->not_covered->targets->len; i++) {
        const FreezeTarget *target = g_ptr_array_index(window->not_covered->targets, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "mountpoint", target->mount_point);
        json_writer_string(writer, "type", target->fs_type);
        json_writer_string(writer, "device", target->source);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_thaw_members(JsonWriter *writer, const FreezeWindow *window)
{
    g_autofree char *broken = freeze_window_broken_reason(window);

    json_writer_integer(writer, "count", freeze_window_count(window, FREEZE_THAWED));
    json_writer_boolean(writer, "intact", window->was_frozen && !broken);
    json_writer_optional_string(writer, "broken-reason", broken);
    json_writer_number(writer, "held-ms", in_ms(freeze_window_held_us(window)));
    json_writer_begin_array(writer, "filesystems");
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++)
        if (window->board->slots[i].frozen_at != 0)
            write_thawed_slot(writer, window, i);
    json_writer_end_array(writer);
    write_not_covered(writer, window);
}

static void write_empty_thaw_members(JsonWriter *writer)
{
    json_writer_integer(writer, "count", 0);
    json_writer_boolean(writer, "intact", false);
    json_writer_string(writer, "broken-reason", "nothing was frozen");
    json_writer_number(writer, "held-ms", 0);
    json_writer_begin_array(writer, "filesystems");
    json_writer_end_array(writer);
    json_writer_begin_array(writer, "not-covered");
    json_writer_end_array(writer);
}

void freeze_report_write_thaw(JsonWriter *writer, const char *name, const FreezeWindow *window)
{
    json_writer_begin_object(writer, name);
    if (window)
        write_thaw_members(writer, window);
    else
        write_empty_thaw_members(writer);
    write_hooks(writer, "hooks", window ? window->thaw_hooks : NULL);
    json_writer_end_object(writer);
}

void freeze_report_write_record(JsonWriter *writer, const char *name, const FreezeWindow *window,
                                const GError *error)
{
    const FreezeBoard *board = window->board;

    json_writer_begin_object(writer, name);
    json_writer_string(writer, "command", window->command);
    json_writer_optional_string(writer, "thaw-command", window->thaw_command);
    freeze_report_write_moment(writer, "began-at-us", window, window->began_at);
    freeze_report_write_moment(writer, "frozen-at-us", window, board ? board->frozen_at : 0);
    freeze_report_write_moment(writer, "thawed-at-us", window, board ? board->thawed_at : 0);
    json_writer_optional_string(writer, "error", error ? error->message : NULL);
    write_thaw_members(writer, window);
    if (window->plan)
        write_skipped(writer, window, SKIPPED_WITH_DATA);
    write_hooks(writer, "freeze-hooks", window->freeze_hooks);
    write_hooks(writer, "thaw-hooks", window->thaw_hooks);
    json_writer_end_object(writer);
}

static void write_current_slot(JsonWriter *writer, const FreezeWindow *window,
                               const FreezeSlot *slot)
{
    json_writer_begin_object(writer, NULL);
    write_identity(writer, slot);
    json_writer_string(writer, "outcome", freeze_outcome_name(outcome_of(slot)));
    freeze_report_write_moment(writer, "frozen-at-us", window, slot->frozen_at);
    json_writer_end_object(writer);
}

void freeze_report_write_current(JsonWriter *writer, const char *name, const FreezeWindow *window,
                                 bool thawed)
{
    json_writer_begin_array(writer, name);
    for (unsigned i = 0; window && window->board && i < window->board->n_slots; i++) {
        const FreezeSlot *slot = &window->board->slots[i];
        if (!thawed || freeze_outcome_needs_thaw(outcome_of(slot)))
            write_current_slot(writer, window, slot);
    }
    json_writer_end_array(writer);
}
