/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an earlier run left frozen: thawed at the next start, or by --thaw. */
#include "agent/freeze-engine-internal.h"

#include "agent/config.h"
#include "agent/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPIC "freeze"

static char *make_word(const StateFile *left, int64_t moment_us)
{
    g_autoptr(GDateTime) moment = g_date_time_new_from_unix_utc(moment_us / G_USEC_PER_SEC);
    g_autofree char *when = g_date_time_format(moment, "%Y-%m-%d %H:%M:%S UTC");
    bool in_order = g_strcmp0(left->thawed_by, WORD_OF_ORDERLY_END) == 0;

    return g_strdup_printf(
        in_order ? "the agent was ended while filesystems were frozen: they were thawed at %s by %s"
                 : "the agent died while filesystems were frozen: they were thawed at %s by %s",
        when, left->thawed_by ? left->thawed_by : "the agent's next start");
}

static void note_broken_window(FreezeEngine *engine, const StateFile *left)
{
    int64_t moment_us = left->thawed ? left->thawed_at_us : g_get_real_time();

    engine->broken_window = left->word ? g_strdup(left->word) : make_word(left, moment_us);
    log_error(TOPIC, "%s", engine->broken_window);
    /* A word that was kept, and an orderly end, have their record already. */
    if (!left->word && g_strcmp0(left->thawed_by, WORD_OF_ORDERLY_END) != 0)
        freeze_history_add_lost(engine->history, left->command, left->began_at_us, moment_us,
                                engine->broken_window);
}

static StateFile *read_state_file(const char *state_path)
{
    g_autoptr(GError) error = NULL;
    StateFile *left = state_file_read(state_path, &error);

    if (error)
        log_error(TOPIC, "%s: what an earlier run may have left frozen is not thawed",
                  error->message);
    if (!left || !state_file_is_in_use(left))
        return left;
    log_error(TOPIC,
              "%s belongs to the agent that runs as process %d: what it has frozen is left to it",
              state_path, (int)left->daemon_pid);
    state_file_free(left);
    return NULL;
}

static void begin_recovery(FreezeEngine *engine, StateFile *left)
{
    g_autoptr(GError) error = NULL;

    engine->window = freeze_window_new("recovery", &(FreezeOptions){0});
    log_hold();
    if (!freezer_recover(engine->freezer, left, &error)) {
        log_release();
        log_error(TOPIC, "%s", error->message);
        return;
    }
    engine->recovering = true;
    engine->window->plan = g_steal_pointer(&left->plan);
    engine->window->board = freezer_board(engine->freezer);
    engine->state = FREEZE_STATE_THAWING;
}

static void recover(FreezeEngine *engine)
{
    g_autoptr(StateFile) left = read_state_file(engine->state_path);

    if (!left)
        return;
    note_broken_window(engine, left);
    if (left->thawed)
        freeze_engine_keep_word(engine);
    else
        begin_recovery(engine, left);
}

FreezeEngine *freeze_engine_new(const Config *config, GError **error)
{
    FreezeEngine *engine = freeze_engine_new_bare(config, error);

    if (engine)
        recover(engine);
    return engine;
}

static int thaw_what_was_left(FreezeEngine *engine, StateFile *left)
{
    g_autofree char *straggler = NULL;

    freezer_leave_word(engine->freezer, "quiesced --thaw");
    begin_recovery(engine, left);
    freeze_engine_wait_until_thawed(engine);
    if (engine->state != FREEZE_STATE_THAWED ||
        freezer_has_straggler(engine->freezer, &straggler)) {
        fprintf(stderr, "cannot thaw %s: a call for it still sleeps in the kernel\n",
                straggler ? straggler : "everything");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int freeze_engine_recover(const Config *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(FreezeEngine) engine = freeze_engine_new_bare(config, &error);

    if (!engine) {
        fprintf(stderr, "%s\n", error->message);
        return EXIT_FAILURE;
    }
    g_autoptr(StateFile) left = read_state_file(engine->state_path);
    if (left && !left->thawed)
        return thaw_what_was_left(engine, left);
    printf("nothing to thaw: %s\n", left ? "it has been done" : "no agent died while frozen");
    return EXIT_SUCCESS;
}
