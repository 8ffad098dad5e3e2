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

void freeze_window_note_changes(FreezeWindow *window, const MountTable *mounts,
                                FreezePlan *freezable)
{
    g_autoptr(GHashTable) mounted = mounted_superblocks(mounts);

    for (unsigned i = 0; i < window->plan->targets->len; i++) {
        const FreezeTarget *target = g_ptr_array_index(window->plan->targets, i);
        if (!is_mounted(mounted, target))
            log_warning(TOPIC, "%s (%s on %s) was unmounted during the hold", target->mount_point,
                        target->fs_type, target->source);
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

/* ---- the story ---- */

#define WINDOW_LOG(window, moment, level, ...) \
    log_write_at(freeze_window_wall_clock(window, moment), level, TOPIC, __VA_ARGS__)

static double in_ms(int64_t us)
{
    return (double)us / 1000;
}

static char *filesystems(unsigned count)
{
    return g_strdup_printf("%u filesystem%s", count, count == 1 ? "" : "s");
}

static void log_skips(const FreezePlan *plan)
{
    g_autoptr(GHashTable) by_reason =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
    GHashTableIter iter;
    void *reason, *names;

    for (unsigned i = 0; i < plan->skips->len; i++) {
        FreezeSkip *skip = g_ptr_array_index(plan->skips, i);
        GPtrArray *list = g_hash_table_lookup(by_reason, skip->reason);
        if (!list) {
            list = g_ptr_array_new();
            g_hash_table_insert(by_reason, skip->reason, list);
        }
        g_ptr_array_add(list, skip->mount_point);
    }
    g_hash_table_iter_init(&iter, by_reason);
    while (g_hash_table_iter_next(&iter, &reason, &names)) {
        g_ptr_array_add(names, NULL);
        g_autofree char *joined = g_strjoinv(", ", (char **)((GPtrArray *)names)->pdata);
        log_info(TOPIC, "skipped, %s: %s", (char *)reason, joined);
    }
}

void freeze_window_log_plan(const FreezeWindow *window)
{
    g_autofree char *count = filesystems(window->plan->targets->len);

    log_info(TOPIC, "%s: freezing %s in %u wave%s, to be held at most %g s", window->command, count,
             window->plan->waves, window->plan->waves == 1 ? "" : "s",
             (double)window->options.hold_timeout_us / G_USEC_PER_SEC);
    log_skips(window->plan);
}

static void log_frozen_slot(const FreezeWindow *window, const FreezeSlot *slot)
{
    g_autofree char *name = freeze_slot_describe(slot);

    if (slot->presync_us < 0 || (window->board->presync_timed_out &&
                                 slot->presync_us >= window->options.presync_timeout_us))
        WINDOW_LOG(window, window->board->freezing_at, LOG_LEVEL_WARNING,
                   "pre-sync of %s was not over within %g s", name,
                   (double)window->options.presync_timeout_us / G_USEC_PER_SEC);
    WINDOW_LOG(window, slot->frozen_at, LOG_LEVEL_INFO,
               "frozen: %s, wave %u, pre-sync %.1f ms, freeze %.1f ms", name, slot->wave,
               in_ms(slot->presync_us), in_ms(slot->freeze_us));
}

static void log_unfrozen_slot(const FreezeSlot *slot)
{
    FreezeOutcome outcome = outcome_of(slot);
    const char *reason = freeze_outcome_skip_reason(outcome);
    g_autofree char *name = freeze_slot_describe(slot);

    if (reason)
        log_write(outcome == FREEZE_BUSY ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, TOPIC,
                  "not frozen: %s: %s", name, reason);
}

static int compare_moments(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_frozen_at(const void *a, const void *b)
{
    return compare_moments((*(const FreezeSlot *const *)a)->frozen_at,
                           (*(const FreezeSlot *const *)b)->frozen_at);
}

static int by_thawed_at(const void *a, const void *b)
{
    return compare_moments((*(const FreezeSlot *const *)a)->thawed_at,
                           (*(const FreezeSlot *const *)b)->thawed_at);
}

static GPtrArray *slots_in_order(const FreezeBoard *board,
                                 int (*compare)(const void *, const void *))
{
    GPtrArray *order = g_ptr_array_new();

    for (unsigned i = 0; i < board->n_slots; i++)
        g_ptr_array_add(order, (void *)&board->slots[i]);
    g_ptr_array_sort(order, compare);
    return order;
}

void freeze_window_log_freeze(const FreezeWindow *window)
{
    const FreezeBoard *board = window->board;
    g_autoptr(GPtrArray) order = slots_in_order(board, by_frozen_at);
    g_autofree char *count = filesystems(freeze_window_count(window, FREEZE_FROZEN));

    if (board->rcu_error != 0)
        WINDOW_LOG(window, board->freezing_at, LOG_LEVEL_WARNING,
                   "cannot expedite RCU grace periods (/sys/kernel/rcu_expedited: %s): the freeze "
                   "takes longer",
                   g_strerror(board->rcu_error));
    for (unsigned i = 0; i < order->len; i++) {
        const FreezeSlot *slot = g_ptr_array_index(order, i);
        if (slot->frozen_at != 0)
            log_frozen_slot(window, slot);
        else
            log_unfrozen_slot(slot);
    }
    if (window->was_frozen)
        WINDOW_LOG(window, board->frozen_at, LOG_LEVEL_INFO,
                   "FROZEN: %s in %.1f ms (pre-sync %.1f ms, freeze %.1f ms)", count,
                   in_ms(board->frozen_at - window->began_at),
                   in_ms(board->freezing_at - board->presync_at),
                   in_ms(board->frozen_at - board->freezing_at));
}

static void log_thawed_slot(const FreezeWindow *window, const FreezeSlot *slot)
{
    g_autofree char *name = freeze_slot_describe(slot);
    double held_ms = in_ms(slot->thawed_at - slot->frozen_at);

    switch (outcome_of(slot)) {
    case FREEZE_THAWED:
        if (slot->frozen_at == 0)
            WINDOW_LOG(window, slot->thawed_at, LOG_LEVEL_INFO, "thawed: %s", name);
        else
            WINDOW_LOG(window, slot->thawed_at, LOG_LEVEL_INFO,
                       "thawed: %s, frozen for %.1f ms, thaw %.1f ms", name, held_ms,
                       in_ms(slot->thaw_us));
        break;
    case FREEZE_THAWED_BY_OTHERS:
        WINDOW_LOG(window, slot->thawed_at, LOG_LEVEL_ERROR,
                   "%s was thawed by somebody else during the hold", name);
        break;
    case FREEZE_THAWING:
        log_error(TOPIC, "cannot thaw %s: %s; trying again until it works", name,
                  slot->error_number ? g_strerror(slot->error_number)
                                     : "the call has not returned");
        break;
    case FREEZE_FREEZING:
        log_error(TOPIC, "FIFREEZE of %s has not returned; it will be thawed as soon as it does",
                  name);
        break;
    default:
        break;
    }
}

void freeze_window_log_thaw(const FreezeWindow *window)
{
    static const char *const causes[] = {
        [FREEZE_END_REQUESTED] = "on request of ",
        [FREEZE_END_FAILED] = "because the freeze failed",
        [FREEZE_END_HOLD_TIMEOUT] = "by itself, because the hold-timeout passed without a thaw",
        [FREEZE_END_DAEMON_DIED] = "by the freezer process, because the agent died",
        [FREEZE_END_FREEZER_DIED] = "by a new freezer process, because the old one died",
        [FREEZE_END_RECOVERED] = "what an earlier run left frozen",
    };
    const FreezeBoard *board = window->board;
    FreezeEnd end = (FreezeEnd)atomic_load(&board->end);
    g_autofree char *broken = freeze_window_broken_reason(window);
    g_autoptr(GPtrArray) order = slots_in_order(board, by_thawed_at);
    g_autofree char *count = filesystems(freeze_window_count(window, FREEZE_THAWED));

    WINDOW_LOG(window, board->thawing_at,
               end == FREEZE_END_REQUESTED ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "thawing %s",
               causes[end]);
    for (unsigned i = 0; i < order->len; i++)
        log_thawed_slot(window, g_ptr_array_index(order, i));
    if (window->was_frozen)
        WINDOW_LOG(window, board->thawed_at, broken ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                   "THAWED: %s, held for %.1f ms, window %s%s", count,
                   in_ms(freeze_window_held_us(window)), broken ? "broken: " : "intact",
                   broken ? broken : "");
}
