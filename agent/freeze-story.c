/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-story.h"

#include "agent/log.h"

#include <stdatomic.h>

#define TOPIC "freeze"

static FreezeOutcome outcome_of(const FreezeSlot *slot)
{
    return (FreezeOutcome)atomic_load(&slot->outcome);
}

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

void freeze_story_log_plan(const FreezeWindow *window)
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

void freeze_story_log_freeze(const FreezeWindow *window)
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

void freeze_story_log_thaw(const FreezeWindow *window)
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
               end == FREEZE_END_REQUESTED ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "thawing %s%s",
               causes[end],
               end == FREEZE_END_REQUESTED && window->thaw_command ? window->thaw_command : "");
    for (unsigned i = 0; i < order->len; i++)
        log_thawed_slot(window, g_ptr_array_index(order, i));
    if (window->was_frozen)
        WINDOW_LOG(window, board->thawed_at, broken ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                   "THAWED: %s, held for %.1f ms, window %s%s", count,
                   in_ms(freeze_window_held_us(window)), broken ? "broken: " : "intact",
                   broken ? broken : "");
}
