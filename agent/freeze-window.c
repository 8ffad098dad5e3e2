/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-window.h"

#include "agent/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define TOPIC "freeze"

/* ---- the record ---- */

FreezeWindow *freeze_window_new(const char *command, const FreezeOptions *options)
{
    FreezeWindow *window = g_new0(FreezeWindow, 1);

    window->command = g_strdup(command);
    window->options = *options;
    window->began_at = freeze_clock_now();
    window->wall_clock_shift = g_get_real_time() - window->began_at;
    return window;
}

static void canary_report_clear(void *data)
{
    CanaryReport *report = data;

    g_free(report->error);
}

void freeze_window_free(FreezeWindow *window)
{
    if (!window)
        return;
    g_free(window->command);
    g_free(window->thaw_command);
    g_clear_pointer(&window->mounted, g_hash_table_unref);
    g_clear_pointer(&window->not_covered, freeze_plan_free);
    g_clear_pointer(&window->plan, freeze_plan_free);
    g_clear_pointer(&window->freeze_hooks, g_ptr_array_unref);
    g_clear_pointer(&window->thaw_hooks, g_ptr_array_unref);
    if (window->canary_reports)
        g_array_set_clear_func(window->canary_reports, canary_report_clear);
    g_clear_pointer(&window->canary_reports, g_array_unref);
    g_free(window);
}

static void hook_result_free(void *data)
{
    HookResult *result = data;

    g_free(result->path);
    g_free(result->error_text);
    g_free(result);
}

void freeze_window_keep_hooks(GPtrArray **kept, const GPtrArray *results)
{
    g_clear_pointer(kept, g_ptr_array_unref);
    *kept = g_ptr_array_new_with_free_func(hook_result_free);
    for (unsigned i = 0; results && i < results->len; i++) {
        const HookResult *result = g_ptr_array_index(results, i);
        HookResult *copy = g_new(HookResult, 1);
        *copy = *result;
        copy->path = g_strdup(result->path);
        copy->error_text = g_strdup(result->error_text);
        g_ptr_array_add(*kept, copy);
    }
}

/* ---- what it comes to ---- */

int64_t freeze_window_wall_clock(const FreezeWindow *window, int64_t boottime_us)
{
    return boottime_us == 0 ? 0 : boottime_us + window->wall_clock_shift;
}

static FreezeOutcome outcome_of(const FreezeSlot *slot)
{
    return (FreezeOutcome)atomic_load(&slot->outcome);
}

unsigned freeze_window_count(const FreezeWindow *window, FreezeOutcome outcome)
{
    unsigned count = 0;

    for (unsigned i = 0; window->board && i < window->board->n_slots; i++)
        count += outcome_of(&window->board->slots[i]) == outcome;
    return count;
}

static const FreezeSlot *first_with(const FreezeWindow *window, FreezeOutcome outcome)
{
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++)
        if (outcome_of(&window->board->slots[i]) == outcome)
            return &window->board->slots[i];
    return NULL;
}

int64_t freeze_window_held_us(const FreezeWindow *window)
{
    const FreezeBoard *board = window->board;

    if (!board || board->frozen_at == 0)
        return 0;
    return (board->thawing_at ? board->thawing_at : freeze_clock_now()) - board->frozen_at;
}

static char *clock_text(int64_t realtime_us)
{
    g_autoptr(GDateTime) moment = g_date_time_new_from_unix_utc(realtime_us / G_USEC_PER_SEC);

    return g_date_time_format(moment, "%Y-%m-%d %H:%M:%S UTC");
}

char *freeze_window_broken_reason(const FreezeWindow *window)
{
    const FreezeBoard *board = window->board;

    if (!window->was_frozen)
        return NULL;
    g_autofree char *when = clock_text(freeze_window_wall_clock(window, board->thawing_at));
    const FreezeSlot *slot = first_with(window, FREEZE_THAWED_BY_OTHERS);
    switch ((FreezeEnd)atomic_load(&board->end)) {
    case FREEZE_END_HOLD_TIMEOUT:
        return g_strdup_printf("no thaw came within the hold-timeout of %g s: thawed by itself at "
                               "%s",
                               (double)board->options.hold_timeout_us / G_USEC_PER_SEC, when);
    case FREEZE_END_FREEZER_DIED:
        return g_strdup_printf("the freezer process died: thawed at %s", when);
    case FREEZE_END_DAEMON_DIED:
        return g_strdup_printf("the agent died: thawed at %s", when);
    case FREEZE_END_REQUESTED:
    case FREEZE_END_FAILED:
    case FREEZE_END_RECOVERED:
        break;
    }
    if (window->ended_by_agent)
        return g_strdup_printf("the agent was ended: it thawed at %s", when);
    if (slot) {
        g_autofree char *name = freeze_slot_describe(slot);
        return g_strdup_printf("%s was thawed by somebody else during the hold", name);
    }
    return NULL;
}

static GError *error_new(const char *format, ...) G_GNUC_PRINTF(1, 2);
static GError *error_new(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    GError *error = g_error_new_valist(G_FILE_ERROR, G_FILE_ERROR_FAILED, format, arguments);
    va_end(arguments);
    return error;
}

static GError *slot_error(const FreezeWindow *window, const FreezeSlot *slot)
{
    g_autofree char *name = freeze_slot_describe(slot);
    int error_number = atomic_load(&slot->error_number);
    bool opening = strcmp(slot->failed_call, "open") == 0;

    if (strcmp(slot->failed_call, "thread") == 0)
        return error_new("cannot freeze: no thread can be started for %s: %s", name,
                         g_strerror(error_number));
    if (error_number != ETIMEDOUT)
        return error_new("cannot %s %s: %s", opening ? "open" : "freeze", name,
                         g_strerror(error_number));
    if (opening)
        return error_new("cannot open %s: no answer within the pre-sync-timeout of %g s", name,
                         (double)window->options.presync_timeout_us / G_USEC_PER_SEC);
    return error_new("cannot freeze %s: the kernel has not finished within the freeze-timeout of "
                     "%g s; everything else has been thawed, and this one will be when it has",
                     name, (double)window->options.freeze_timeout_us / G_USEC_PER_SEC);
}

GError *freeze_window_freeze_error(const FreezeWindow *window)
{
    const FreezeSlot *failed = first_with(window, FREEZE_FAILED);
    const FreezeBoard *board = window->board;

    if (failed)
        return slot_error(window, failed);
    for (unsigned i = 0; board && i < board->n_slots; i++)
        if (atomic_load(&board->slots[i].error_number) == ETIMEDOUT)
            return slot_error(window, &board->slots[i]);
    if (board && atomic_load(&board->end) == FREEZE_END_FREEZER_DIED)
        return error_new("cannot freeze: the freezer process died; everything has been thawed");
    if (board && atomic_load(&board->end) == FREEZE_END_HOLD_TIMEOUT)
        return error_new("the hold-timeout of %g s passed at once: everything has been thawed",
                         (double)board->options.hold_timeout_us / G_USEC_PER_SEC);
    return error_new("the freeze was ended by a thaw command before it was complete");
}

GError *freeze_window_thaw_error(const FreezeWindow *window)
{
    const FreezeSlot *slot = first_with(window, FREEZE_THAWING);

    if (!slot)
        return NULL;
    g_autofree char *name = freeze_slot_describe(slot);
    int error_number = atomic_load(&slot->error_number);
    return error_new("cannot thaw %s: %s; everything else has been thawed, and this one is tried "
                     "again until it works",
                     name, error_number ? g_strerror(error_number) : "the call has not returned");
}

static GHashTable *mounted_superblocks(const MountTable *mounts)
{
    GHashTable *devices = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    for (unsigned i = 0; i < mounts->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts->mounts, i);
        gint64 *device = g_new(gint64, 1);
        *device = (gint64)mount->device;
        g_hash_table_add(devices, device);
    }
    return devices;
}

static bool is_mounted(GHashTable *mounted, const FreezeTarget *target)
{
    gint64 device = (gint64)target->device;

    return g_hash_table_contains(mounted, &device);
}

void freeze_window_set_plan(FreezeWindow *window, FreezePlan *plan, const MountTable *mounts)
{
    window->plan = plan;
    window->mounted = mounted_superblocks(mounts);
}

bool freeze_window_knows_all(const FreezeWindow *window, const MountTable *mounts)
{
    for (unsigned i = 0; i < mounts->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts->mounts, i);
        gint64 device = (gint64)mount->device;
        if (!g_hash_table_contains(window->mounted, &device))
            return false;
    }
    return true;
}

void freeze_window_note_changes(FreezeWindow *window, const MountTable *mounts,
                                FreezePlan *freezable)
{
    g_autoptr(GHashTable) mounted = mounted_superblocks(mounts);

    for (unsigned i = 0; i < window->plan->targets->len; i++) {
        const FreezeTarget *target = g_ptr_array_index(window->plan->targets, i);
        if (!is_mounted(mounted, target))
            log_warning(TOPIC, "%s (%s on %s) was unmounted during the hold", target->mount_point,
                        target->fs_type, target->source);
        else if (target->block_device != 0 && !block_stack_device_exists(target->block_device))
            log_warning(TOPIC, "the device of %s (%s on %s) was removed during the hold",
                        target->mount_point, target->fs_type, target->source);
    }
    for (unsigned i = freezable->targets->len; i-- > 0;) {
        const FreezeTarget *target = g_ptr_array_index(freezable->targets, i);
        if (is_mounted(window->mounted, target))
            g_ptr_array_remove_index(freezable->targets, i);
        else
            log_warning(TOPIC,
                        "%s (%s on %s) was mounted during the hold: this window does not cover it",
                        target->mount_point, target->fs_type, target->source);
    }
    window->not_covered = freezable;
}
