/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-engine-internal.h"

#include "agent/config.h"
#include "agent/freeze-story.h"
#include "agent/log.h"
#include "platform/block-stack.h"
#include "platform/mount-table.h"

#include <stdatomic.h>

#define TOPIC "freeze"
#define STATE_FILE "quiesced.state"
#define HISTORY_FILE "quiesced.history"

/* Canaries sing before the freeze and are listened to after the thaw, but not for ever. */
#define CANARY_WRITES 3
#define CANARY_POLL_MS 5
#define CANARY_START_WAIT_US (2 * G_USEC_PER_SEC)
#define CANARY_SETTLE_WAIT_US (2 * G_USEC_PER_SEC)
#define STRAGGLER_POLL_MS 500

/* How long an agent that is ended waits for its thaw and the hooks. */
#define END_WAIT_US (60 * G_USEC_PER_SEC)

static void window_ends(FreezeEngine *engine);

/* ---- answering ---- */

static void answer(Waiter *waiter, const FreezeWindow *window, const GError *error)
{
    Waiter once = *waiter;

    *waiter = (Waiter){0};
    if (once.done)
        once.done(window, error, once.user_data);
}

static GError *broken_window_error(FreezeEngine *engine)
{
    g_autofree char *reason = g_steal_pointer(&engine->broken_window);

    if (reason && !freezer_has_straggler(engine->freezer, NULL))
        state_file_remove(engine->state_path);
    return reason ? g_error_new(G_FILE_ERROR, G_FILE_ERROR_FAILED,
                                "%s; a snapshot taken after that is not consistent", reason)
                  : NULL;
}

static void answer_thaws(FreezeEngine *engine)
{
    g_autoptr(GArray) waiters = g_steal_pointer(&engine->thaw_waiters);

    engine->thaw_waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    if (waiters->len == 0)
        return;
    g_autoptr(GError) error = broken_window_error(engine);
    if (!error && engine->window->board)
        error = freeze_window_thaw_error(engine->window);
    for (unsigned i = 0; i < waiters->len; i++)
        answer(&g_array_index(waiters, Waiter, i), error ? NULL : engine->window, error);
}

/* ---- the log, which must not wait for a frozen filesystem ---- */

void freeze_engine_keep_word(const FreezeEngine *engine)
{
    g_autoptr(GError) error = NULL;

    if (engine->broken_window &&
        !state_file_keep_word(engine->state_path, engine->broken_window, &error))
        log_warning(TOPIC,
                    "%s: should the agent be restarted before the host's thaw, the host will not "
                    "be told that its window was broken",
                    error->message);
}

static gboolean stragglers_left(void *data)
{
    FreezeEngine *engine = data;

    if (freezer_has_straggler(engine->freezer, NULL))
        return G_SOURCE_CONTINUE;
    engine->straggler_source = 0;
    freezer_forget_stragglers(engine->freezer);
    freeze_engine_keep_word(engine);
    if (engine->state == FREEZE_STATE_THAWED) {
        log_info(TOPIC, "the last filesystem that could not be thawed at first has been thawed");
        log_release();
    }
    return G_SOURCE_REMOVE;
}

/* While a filesystem is still frozen, writing the log could wait for it. */
static void release_log(FreezeEngine *engine)
{
    if (!freezer_has_straggler(engine->freezer, NULL))
        log_release();
    else if (!engine->straggler_source)
        engine->straggler_source = g_timeout_add(STRAGGLER_POLL_MS, stragglers_left, engine);
}

/* ---- freezing: one function a step, each starts the next or ends the window ---- */

static void fail_freeze(FreezeEngine *engine, GError *error)
{
    g_clear_error(&engine->freeze_error);
    engine->freeze_error = error;
    log_error(TOPIC, "%s", error->message);
    window_ends(engine);
}

/* A thaw that comes before everything is frozen ends the freeze at its next step. */
static bool ended_by_thaw(FreezeEngine *engine)
{
    if (!engine->thaw_wanted)
        return false;
    fail_freeze(engine, freeze_window_freeze_error(engine->window));
    return true;
}

static void step_freeze(FreezeEngine *engine)
{
    FreezeWindow *window = engine->window;
    GError *error = NULL;

    if (ended_by_thaw(engine))
        return;
    log_hold(); /* from here on a log line might wait for a frozen disk */
    if (!freezer_freeze(engine->freezer, window->command, window->plan, &window->options, &error)) {
        release_log(engine);
        fail_freeze(engine, error);
        return;
    }
    window->board = freezer_board(engine->freezer);
}

static gboolean canaries_started(void *data)
{
    FreezeEngine *engine = data;

    if (!canary_has_written(engine->canary, CANARY_WRITES, 0) &&
        freeze_clock_now() < engine->canary_since + CANARY_START_WAIT_US)
        return G_SOURCE_CONTINUE;
    engine->canary_source = 0;
    step_freeze(engine);
    return G_SOURCE_REMOVE;
}

static void step_canaries(FreezeEngine *engine)
{
    g_autoptr(GError) error = NULL;

    if (engine->window->wants_canary) {
        engine->canary = canary_start(engine->window->plan, &error);
        if (!engine->canary)
            log_warning(TOPIC, "%s", error->message);
    }
    if (!engine->canary) {
        step_freeze(engine);
        return;
    }
    engine->canary_since = freeze_clock_now();
    engine->canary_source = g_timeout_add(CANARY_POLL_MS, canaries_started, engine);
}

static void freeze_hooks_done(const GPtrArray *results, const GError *error, void *data)
{
    FreezeEngine *engine = data;

    freeze_window_keep_hooks(&engine->window->freeze_hooks, results);
    if (ended_by_thaw(engine))
        return;
    if (error && engine->config->hook_failure_aborts) {
        fail_freeze(engine, g_error_copy(error));
        return;
    }
    step_canaries(engine);
}

/* requested NULL: everything that can be frozen. */
static FreezePlan *plan_of(const FreezeEngine *engine, char **requested, const MountTable *mounts,
                           GError **error)
{
    g_autoptr(BlockStack) stack = block_stack_read(mounts, error);

    return stack ? freeze_plan_build(mounts, stack, &engine->config->rules,
                                     (const char *const *)requested, error)
                 : NULL;
}

static void step_plan(FreezeEngine *engine)
{
    GError *error = NULL;
    g_autoptr(MountTable) mounts = mount_table_read(true, &error);
    FreezePlan *plan = mounts ? plan_of(engine, engine->requested, mounts, &error) : NULL;

    if (!plan) {
        fail_freeze(engine, error);
        return;
    }
    freeze_window_set_plan(engine->window, plan, mounts);
    freeze_story_log_plan(engine->window);
    hooks_run_freeze(engine->hooks, engine->config->hook_failure_aborts, freeze_hooks_done, engine);
}

/* ---- frozen, and the way back ---- */

static void everything_is_frozen(FreezeEngine *engine)
{
    FreezeWindow *window = engine->window;

    /* Filesystems that cannot be frozen, or were by others, make no window. */
    if (freeze_window_count(window, FREEZE_FROZEN) == 0) {
        freezer_thaw(engine->freezer);
        return;
    }
    window->was_frozen = true;
    engine->state = FREEZE_STATE_FROZEN;
    freeze_story_log_freeze(window);
    answer(&engine->freeze_waiter, window, NULL);
}

/* The plan, which knows what can be frozen, is dear: it is made only when something is new. */
static void note_changes(FreezeEngine *engine)
{
    FreezeWindow *window = engine->window;
    g_autoptr(GError) error = NULL;

    if (!window->was_frozen || window->not_covered)
        return;
    g_autoptr(MountTable) mounts = mount_table_read(true, &error);
    FreezePlan *freezable = NULL;
    if (mounts)
        freezable = freeze_window_knows_all(window, mounts) ? freeze_plan_new()
                                                            : plan_of(engine, NULL, mounts, &error);
    if (freezable)
        freeze_window_note_changes(window, mounts, freezable);
    else
        log_warning(TOPIC, "cannot tell what was mounted during the hold: %s", error->message);
}

static bool changes_are_awaited(const FreezeEngine *engine)
{
    for (unsigned i = 0; i < engine->thaw_waiters->len; i++)
        if (g_array_index(engine->thaw_waiters, Waiter, i).wants_changes)
            return true;
    return false;
}

/* ---- the record, made when the host has its answer: it takes longer than a thaw ---- */

static void keep_record(FreezeEngine *engine)
{
    if (engine->record_source == 0)
        return;
    g_source_remove(engine->record_source);
    engine->record_source = 0;
    note_changes(engine);
    freeze_history_add(engine->history, engine->window, engine->record_error,
                       !freezer_has_straggler(engine->freezer, NULL));
    g_clear_error(&engine->record_error);
}

static gboolean record_is_due(void *data)
{
    keep_record(data);
    return G_SOURCE_REMOVE;
}

static void put_off_record(FreezeEngine *engine, const GError *error)
{
    engine->record_error = error ? g_error_copy(error) : NULL;
    engine->record_source = g_idle_add_full(G_PRIORITY_DEFAULT, record_is_due, engine, NULL);
}

static void window_is_over(FreezeEngine *engine)
{
    FreezeWindow *window = engine->window;
    g_autoptr(GError) freeze_error = g_steal_pointer(&engine->freeze_error);
    char *broken = freeze_window_broken_reason(window);

    /* A host that asked for the thaw reads the rest in its reply or in the history. */
    if (broken && (FreezeEnd)atomic_load(&window->board->end) != FREEZE_END_REQUESTED) {
        g_free(engine->broken_window);
        engine->broken_window = broken;
    } else {
        g_free(broken);
    }
    if (!freezer_has_straggler(engine->freezer, NULL))
        freeze_engine_keep_word(engine);
    if (changes_are_awaited(engine))
        note_changes(engine);
    if (!engine->recovering)
        put_off_record(engine, freeze_error);
    engine->recovering = false;
    engine->state = FREEZE_STATE_THAWED;
    g_clear_pointer(&engine->requested, g_strfreev);
    answer(&engine->freeze_waiter, freeze_error ? NULL : window, freeze_error);
    answer_thaws(engine);
}

static void thaw_hooks_done(const GPtrArray *results, const GError *error, void *data)
{
    FreezeEngine *engine = data;

    freeze_window_keep_hooks(&engine->window->thaw_hooks, results);
    if (error)
        log_error(TOPIC, "%s", error->message);
    window_is_over(engine);
}

static void collect_canaries(FreezeEngine *engine)
{
    const FreezeBoard *board = engine->window->board;

    if (!engine->canary)
        return;
    engine->window->canary_reports = g_array_new(FALSE, TRUE, sizeof(CanaryReport));
    for (unsigned i = 0; board && i < board->n_slots; i++) {
        const FreezeSlot *slot = &board->slots[i];
        CanaryReport report;
        canary_report(engine->canary, i, slot->frozen_at, board->thawing_at, &report);
        g_array_append_val(engine->window->canary_reports, report);
    }
    g_clear_pointer(&engine->canary, canary_stop);
}

/* Step 8; also the end of a freeze that failed at whichever step. */
static void window_ends(FreezeEngine *engine)
{
    engine->state = FREEZE_STATE_THAWING;
    if (engine->canary_source) {
        g_source_remove(engine->canary_source);
        engine->canary_source = 0;
    }
    collect_canaries(engine);
    hooks_run_thaw(engine->hooks, thaw_hooks_done, engine);
}

static gboolean canaries_settled(void *data)
{
    FreezeEngine *engine = data;

    if (!canary_has_written(engine->canary, 1, engine->canary_since) &&
        freeze_clock_now() < engine->canary_since + CANARY_SETTLE_WAIT_US)
        return G_SOURCE_CONTINUE;
    engine->canary_source = 0;
    window_ends(engine);
    return G_SOURCE_REMOVE;
}

static void everything_is_thawed(FreezeEngine *engine)
{
    FreezeWindow *window = engine->window;
    bool asked_for = (FreezeEnd)atomic_load(&window->board->end) == FREEZE_END_REQUESTED;

    if (!window->was_frozen && !engine->recovering && (!asked_for || engine->thaw_wanted))
        engine->freeze_error = freeze_window_freeze_error(window);
    if (!window->was_frozen)
        freeze_story_log_freeze(window);
    freeze_story_log_thaw(window);
    if (engine->freeze_error)
        log_error(TOPIC, "%s", engine->freeze_error->message);
    release_log(engine);
    engine->state = FREEZE_STATE_THAWING;
    if (!engine->canary) {
        window_ends(engine);
        return;
    }
    engine->canary_since = window->board->thawed_at;
    engine->canary_source = g_timeout_add(CANARY_POLL_MS, canaries_settled, engine);
}

static void freezer_news(FreezePhase phase, void *data)
{
    FreezeEngine *engine = data;

    if (phase == FREEZE_PHASE_FROZEN)
        everything_is_frozen(engine);
    else
        everything_is_thawed(engine);
}

/* ---- requests ---- */

FreezeOptions freeze_engine_options(const FreezeEngine *engine)
{
    return (FreezeOptions){
        .presync_timeout_us = engine->config->presync_timeout_ms * 1000,
        .freeze_timeout_us = engine->config->freeze_timeout_ms * 1000,
        .hold_timeout_us = engine->config->hold_timeout_ms * 1000,
        .expedite_rcu = engine->config->expedite_rcu,
    };
}

void freeze_engine_freeze(FreezeEngine *engine, const FreezeRequest *request, FreezeEngineDone done,
                          void *user_data)
{
    g_assert(engine->state == FREEZE_STATE_THAWED); /* the dispatcher refuses it otherwise */
    keep_record(engine);
    g_clear_pointer(&engine->window, freeze_window_free);
    if (engine->broken_window)
        log_warning(TOPIC, "no thaw ever came for the last window: %s", engine->broken_window);
    g_clear_pointer(&engine->broken_window, g_free);
    engine->window = freeze_window_new(request->command, &request->options);
    engine->window->wants_canary = request->canary;
    engine->requested = g_strdupv((char **)request->mount_points);
    engine->freeze_waiter = (Waiter){done, user_data, false};
    engine->thaw_wanted = false;
    engine->state = FREEZE_STATE_FREEZING;
    step_plan(engine);
}

void freeze_engine_thaw(FreezeEngine *engine, const char *command, bool wants_changes,
                        FreezeEngineDone done, void *user_data)
{
    Waiter waiter = {done, user_data, wants_changes};

    log_info(TOPIC, "%s in state %s", command, freeze_state_name(engine->state));
    if (engine->state == FREEZE_STATE_THAWED) {
        g_autoptr(GError) error = broken_window_error(engine);
        if (!error && engine->window && engine->window->board)
            error = freeze_window_thaw_error(engine->window); /* one is still being tried */
        answer(&waiter, NULL, error);
        return;
    }
    g_array_append_val(engine->thaw_waiters, waiter);
    if (!engine->window->thaw_command)
        engine->window->thaw_command = g_strdup(command);
    engine->thaw_wanted = true;
    if (engine->state == FREEZE_STATE_FROZEN)
        engine->state = FREEZE_STATE_THAWING;
    freezer_thaw(engine->freezer);
}

const FreezeHistory *freeze_engine_history(FreezeEngine *engine)
{
    keep_record(engine);
    return engine->history;
}

FreezeState freeze_engine_state(const FreezeEngine *engine)
{
    return engine->state;
}

const char *freeze_state_name(FreezeState state)
{
    static const char *const names[] = {"thawed", "freezing", "frozen", "thawing"};

    return names[state];
}

const FreezeWindow *freeze_engine_window(const FreezeEngine *engine)
{
    return engine->window;
}

int64_t freeze_engine_hold_left_us(const FreezeEngine *engine)
{
    if (engine->state != FREEZE_STATE_FROZEN || engine->window->options.hold_timeout_us == 0)
        return -1;
    int64_t end = engine->window->board->frozen_at + engine->window->options.hold_timeout_us;
    return MAX(0, end - freeze_clock_now());
}

/* ---- its life ---- */

FreezeEngine *freeze_engine_new_bare(const Config *config, GError **error)
{
    g_autofree char *history_path = g_build_filename(config->state_dir, HISTORY_FILE, NULL);
    FreezeEngine *engine = g_new0(FreezeEngine, 1);

    engine->config = config;
    engine->state_path = g_build_filename(config->state_dir, STATE_FILE, NULL);
    engine->thaw_waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
    engine->history = freeze_history_new(history_path);
    engine->hooks = hooks_new(config->fsfreeze_hook, config->hook_timeout_ms);
    engine->freezer = freezer_new(engine->state_path, freezer_news, engine, error);
    if (engine->freezer)
        return engine;
    freeze_engine_free(engine);
    return NULL;
}

static gboolean keep_ticking(void *data)
{
    return G_SOURCE_CONTINUE;
}

void freeze_engine_wait_until_thawed(FreezeEngine *engine)
{
    int64_t deadline = freeze_clock_now() + END_WAIT_US;
    guint tick = g_timeout_add(STRAGGLER_POLL_MS, keep_ticking, NULL);

    while (engine->state != FREEZE_STATE_THAWED && freeze_clock_now() < deadline)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(tick);
}

static void end_window_in_order(FreezeEngine *engine)
{
    if (engine->state == FREEZE_STATE_THAWED || !engine->freezer)
        return;
    if (engine->state == FREEZE_STATE_FROZEN) {
        engine->window->ended_by_agent = true;
        freezer_leave_word(engine->freezer, WORD_OF_ORDERLY_END);
    }
    freeze_engine_thaw(engine, "the agent's end", false, NULL, NULL);
    freeze_engine_wait_until_thawed(engine);
}

void freeze_engine_free(FreezeEngine *engine)
{
    if (!engine)
        return;
    end_window_in_order(engine);
    keep_record(engine);
    if (engine->canary_source)
        g_source_remove(engine->canary_source);
    if (engine->straggler_source)
        g_source_remove(engine->straggler_source);
    bool straggler = engine->freezer && freezer_has_straggler(engine->freezer, NULL);
    freezer_free(engine->freezer);
    if (!straggler)
        log_release();
    g_clear_pointer(&engine->canary, canary_stop);
    hooks_free(engine->hooks);
    freeze_history_free(engine->history);
    freeze_window_free(engine->window);
    g_strfreev(engine->requested);
    g_array_unref(engine->thaw_waiters);
    g_clear_error(&engine->freeze_error);
    g_free(engine->broken_window);
    g_free(engine->state_path);
    g_free(engine);
}
