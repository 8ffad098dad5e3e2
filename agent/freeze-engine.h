/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"

#include <glib.h>
#include <stdbool.h>

/*
 * One freeze at a time, from the request to the record in the history: enumerate, plan, hooks,
 * pre-sync, freeze, hold, thaw, hooks (../shared/design.md, "The freeze engine").
 */
typedef enum {
    FREEZE_STATE_THAWED,
    FREEZE_STATE_FREEZING,
    FREEZE_STATE_FROZEN,
    FREEZE_STATE_THAWING,
} FreezeState;

/* Forks the freezer process (so call it before anything starts a thread or opens a channel) and
 * thaws what a state file of an earlier run names. */
FreezeEngine *freeze_engine_new(const Config *config, GError **error);
/* Thaws what is frozen, waits for it as long as it takes, ends the freezer process. */
void freeze_engine_free(FreezeEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezeEngine, freeze_engine_free)

FreezeState freeze_engine_state(const FreezeEngine *engine);
/* "thawed", "freezing", "frozen", "thawing" */
const char *freeze_state_name(FreezeState state);

/* --thaw: thaws what the state file of a daemon that was killed names. Returns the exit status;
 * prints its own messages. */
int freeze_engine_recover(const Config *config);
