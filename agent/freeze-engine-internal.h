/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The freeze engine's insides, for freeze-engine.c and freeze-recovery.c alone. */

#include "agent/canary.h"
#include "agent/freeze-engine.h"
#include "agent/freezer.h"
#include "agent/hooks.h"
#include "agent/state-file.h"

typedef struct {
    FreezeEngineDone done;
    void *user_data;
    bool wants_changes; /* to be done once window->not_covered is filled in */
} Waiter;

struct FreezeEngine {
    const Config *config;
    char *state_path;
    Freezer *freezer;
    Hooks *hooks;
    FreezeHistory *history;
    FreezeState state;

    FreezeWindow *window; /* under way, or the last */
    char **requested;     /* mount points; NULL: everything */
    Canary *canary;
    int64_t canary_since;
    guint canary_source;
    GError *freeze_error; /* why the freeze did not come about */
    bool thaw_wanted;
    Waiter freeze_waiter;
    GArray *thaw_waiters; /* of Waiter */

    char *broken_window; /* what the next thaw is to be told, once */
    guint straggler_source;
    bool recovering; /* the window under way is what an earlier run left */

    guint record_source; /* the last window is still to be put into the history; else 0 */
    GError *record_error;
};

/* How the state file names an agent that was ended while frozen. */
#define WORD_OF_ORDERLY_END "the agent itself"

/* An engine with its freezer process that has not looked at what an earlier run left. */
FreezeEngine *freeze_engine_new_bare(const Config *config, GError **error);

/* Writes down the word for the thaw that has not come yet, should the agent be restarted before it
 * does; nothing when there is none. */
void freeze_engine_keep_word(const FreezeEngine *engine);

/* Iterates the main loop until nothing is frozen any more, at most for a while. */
void freeze_engine_wait_until_thawed(FreezeEngine *engine);
