/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-board.h"

#include <glib.h>
#include <stdbool.h>

/* What the daemon keeps of one window: the board, and descriptors of its own on the filesystems, so
 * that a new freezer process can thaw what a dead one has frozen. */
typedef struct {
    FreezeBoard *board;
    int board_fd;
    int *descriptors; /* one per slot; -1 where there is none */
} FreezerWindow;

FreezerWindow *freezer_window_new(const FreezePlan *plan, const FreezeOptions *options,
                                  GError **error);
void freezer_window_free(FreezerWindow *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezerWindow, freezer_window_free)

/* Keeps a descriptor, taken over; one too many, or for no slot, is closed. */
void freezer_window_keep_descriptor(FreezerWindow *window, unsigned slot, int fd);

/* Closes those that no thaw needs any more: they keep their filesystems from being unmounted. */
void freezer_window_close_settled(FreezerWindow *window);

/* A slot for which a call sleeps in the kernel or which needs a thaw, in the plan if one is given;
 * NULL when there is none. */
const FreezeSlot *freezer_window_find_unsettled(const FreezerWindow *window,
                                                const FreezePlan *plan);

/* Adds a target for each such slot. */
void freezer_window_add_unsettled(const FreezerWindow *window, FreezePlan *plan);

/* Thaws in this process, for want of another; may sleep. What cannot be thawed stays as it is. */
void freezer_window_thaw_here(FreezerWindow *window);
