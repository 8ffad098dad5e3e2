/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-board.h"
#include "agent/state-file.h"
#include "platform/freeze-plan.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The daemon's handle on the freezer process (agent/freezer-process.h), which pre-syncs, freezes,
 * holds and thaws. News comes from the main loop, and nothing here waits for a filesystem, except
 * freezer_free() and, where neither a process nor a thread can be had, the thaw in this process.
 *
 * Should the freezer process die or stop answering, a new one is forked and thaws with the
 * daemon's copies of the descriptors.
 */
typedef struct Freezer Freezer;

/* The window has become frozen (FREEZE_PHASE_FROZEN) or is over (FREEZE_PHASE_THAWED): see
 * freezer_board(). Each is told once, the first only when it came to that. */
typedef void (*FreezerNews)(FreezePhase phase, void *user_data);

/* Forks the freezer process. state_path: the state file (agent/state-file.h); it is written before
 * each freeze and removed after the thaw. */
Freezer *freezer_new(const char *state_path, FreezerNews news, void *user_data, GError **error);

/* Ends the freezer process, which thaws first what is frozen, and waits for that; but not for ever:
 * should a call sleep in the kernel, the process stays behind and thaws when it returns. */
void freezer_free(Freezer *freezer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Freezer, freezer_free)

/* Begins a window on behalf of a command. False: nothing was begun, *error says why; one reason is
 * that a call of an earlier window still sleeps in the kernel for a filesystem of this plan. */
bool freezer_freeze(Freezer *freezer, const char *command, const FreezePlan *plan,
                    const FreezeOptions *options, GError **error);

/* Ends the window under way, in whichever phase it is. */
void freezer_thaw(Freezer *freezer);

/* Thaws what an earlier run left frozen; ends with news of FREEZE_PHASE_THAWED. */
bool freezer_recover(Freezer *freezer, const StateFile *left, GError **error);

/* The board of the window under way or, until the next begins, of the last one; NULL before the
 * first. */
const FreezeBoard *freezer_board(const Freezer *freezer);

/* True when a call of an ended window still sleeps in the kernel; describes the filesystem then. */
bool freezer_has_straggler(const Freezer *freezer, char **description);

/* From now on the state file is kept after a thaw, with a word (static) who thawed, for the next
 * start to tell the host: for ends that the host did not ask for. */
void freezer_leave_word(Freezer *freezer, const char *thawed_by);

/* Clears away after stragglers that have returned; until then the state file keeps naming them. */
void freezer_forget_stragglers(Freezer *freezer);
