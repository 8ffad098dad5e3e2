/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/canary.h"
#include "agent/freeze-board.h"
#include "agent/hooks.h"
#include "platform/freeze-plan.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The record of one freeze, from the request to the last hook: what was asked, what was planned,
 * what became of it. It tells the story to the log and to whoever asks on the wire.
 */
typedef struct {
    char *command;      /* who asked: "guest-fsfreeze-freeze" */
    char *thaw_command; /* who ended it; NULL while nobody has */
    FreezeOptions options;
    bool wants_canary;
    int64_t began_at;         /* CLOCK_BOOTTIME, as on the board */
    int64_t wall_clock_shift; /* CLOCK_REALTIME - CLOCK_BOOTTIME when it began */

    FreezePlan *plan;
    GHashTable *mounted; /* set of dev_t (as gint64 *): the superblocks that were mounted then */
    const FreezeBoard *board; /* the freezer's, of the same slots as plan->targets; NULL before the
                                 freezer has it */
    bool ended_by_agent;      /* the agent was ended while frozen: no host asked for the thaw */
    bool was_frozen;          /* all of it was frozen: the host was told so */
    GPtrArray *freeze_hooks;  /* of HookResult */
    GPtrArray *thaw_hooks;    /* of HookResult */
    GArray *canary_reports;   /* of CanaryReport, one per target; NULL without canaries */
    FreezePlan *not_covered;  /* what was mounted during the hold; NULL when nobody looked */
} FreezeWindow;

FreezeWindow *freeze_window_new(const char *command, const FreezeOptions *options);
void freeze_window_free(FreezeWindow *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezeWindow, freeze_window_free)

/* A moment of the board as microseconds of CLOCK_REALTIME; 0 stays 0. */
int64_t freeze_window_wall_clock(const FreezeWindow *window, int64_t boottime_us);

/* How many filesystems have this outcome. */
unsigned freeze_window_count(const FreezeWindow *window, FreezeOutcome outcome);

/* How long the guest was frozen: from the end of the last FIFREEZE to the begin of the thaw. */
int64_t freeze_window_held_us(const FreezeWindow *window);

/* Why a snapshot taken in this window is not to be trusted; NULL when it is. The caller frees it.
 */
char *freeze_window_broken_reason(const FreezeWindow *window);

/* Why the freeze failed: names the filesystem, the cause and the remedy. */
GError *freeze_window_freeze_error(const FreezeWindow *window);

/* Which filesystems could not be thawed (yet); NULL when all could. */
GError *freeze_window_thaw_error(const FreezeWindow *window);

/* The plan, taken over, and the mounts that it was made of. */
void freeze_window_set_plan(FreezeWindow *window, FreezePlan *plan, const MountTable *mounts);

/* True when no superblock of the table has been mounted since the plan was made. */
bool freeze_window_knows_all(const FreezeWindow *window, const MountTable *mounts);

/* Compares with the mounts after the hold, and with all that could be frozen then (taken over):
 * fills in not_covered and logs what came and went. */
void freeze_window_note_changes(FreezeWindow *window, const MountTable *mounts,
                                FreezePlan *freezable);

/* Keeps a copy of hook results. */
void freeze_window_keep_hooks(GPtrArray **kept, const GPtrArray *results);
