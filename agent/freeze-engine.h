/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"
#include "agent/freeze-history.h"
#include "agent/freeze-window.h"

#include <glib.h>
#include <stdbool.h>

/*
 * One freeze at a time, from the request to the record: enumerate, plan, hooks, pre-sync, freeze,
 * hold, thaw, hooks (../shared/design.md, "The freeze engine"). Nothing here waits for a
 * filesystem, except as agent/freezer.h says.
 */
typedef enum {
    FREEZE_STATE_THAWED,
    FREEZE_STATE_FREEZING,
    FREEZE_STATE_FROZEN,
    FREEZE_STATE_THAWING,
} FreezeState;

/* Forks the freezer process (so call it before anything opens a channel) and, when a state file of
 * an earlier run names filesystems, has them thawed. */
FreezeEngine *freeze_engine_new(const Config *config, GError **error);
/* Thaws what is frozen, in order and with the hooks, and leaves word for the next start, which
 * tells the host; waits for that, but not for ever. */
void freeze_engine_free(FreezeEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezeEngine, freeze_engine_free)

FreezeState freeze_engine_state(const FreezeEngine *engine);
/* "thawed", "freezing", "frozen", "thawing" */
const char *freeze_state_name(FreezeState state);

/* The window under way or, when there is none, the last one; NULL before the first. */
const FreezeWindow *freeze_engine_window(const FreezeEngine *engine);

const FreezeHistory *freeze_engine_history(FreezeEngine *engine);

/* Microseconds until the hold ends by itself; -1 when there is no limit or nothing is frozen. */
int64_t freeze_engine_hold_left_us(const FreezeEngine *engine);

typedef struct {
    const char *command;             /* who asks: the command's name */
    const char *const *mount_points; /* NULL: everything that can be frozen */
    FreezeOptions options;           /* begin with freeze_engine_options() */
    bool canary;                     /* writers inside the guest show whether the freeze holds */
} FreezeRequest;

/* What the configuration says. */
FreezeOptions freeze_engine_options(const FreezeEngine *engine);

/* Called once, perhaps before the call returns: with the window, or with error set (borrowed). A
 * thaw of nothing has neither. */
typedef void (*FreezeEngineDone)(const FreezeWindow *window, const GError *error, void *user_data);

/* Freezes; done when all is frozen, or when what was frozen has been thawed after a failure. */
void freeze_engine_freeze(FreezeEngine *engine, const FreezeRequest *request, FreezeEngineDone done,
                          void *user_data);

/*
 * Thaws, or ends a freeze under way; done when all is thawed and the hooks have run. When the
 * window had ended by itself, or is broken because the agent or its freezer process died, the first
 * thaw after it gets an error: the host must not believe in its snapshot.
 *
 * wants_changes: done is to see what was mounted during the hold (window->not_covered). To find
 * that out takes longer than a thaw, so others are answered first.
 */
void freeze_engine_thaw(FreezeEngine *engine, const char *command, bool wants_changes,
                        FreezeEngineDone done, void *user_data);

/* For --thaw: thaws what the state file names, with a main loop of its own, and leaves word for the
 * next start; the process's exit status. What a running agent has frozen is left to it. */
int freeze_engine_recover(const Config *config);
