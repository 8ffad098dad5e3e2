/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-window.h"
#include "protocol/json-writer.h"

#include <glib.h>
#include <stdint.h>

/*
 * The last freeze windows: who froze, when, for how long, which filesystems, intact or broken and
 * why. Kept in memory and, one JSON object a line, in a file that survives a restart of the agent.
 * The file is written only while nothing is frozen.
 */
#define FREEZE_HISTORY_WINDOWS 64

typedef struct FreezeHistory FreezeHistory;

/* Reads what the file holds; a missing, damaged or unwritable file costs its contents and a line in
 * the log. */
FreezeHistory *freeze_history_new(const char *path);
void freeze_history_free(FreezeHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezeHistory, freeze_history_free)

/* Adds a window that is over. error: why the freeze failed; NULL when it did not. save: whether the
 * file may be written now; else the next window's saving writes this one too. */
void freeze_history_add(FreezeHistory *history, const FreezeWindow *window, const GError *error,
                        bool save);

/* Adds a window whose record died with the agent; moments are CLOCK_REALTIME microseconds. */
void freeze_history_add_lost(FreezeHistory *history, const char *command, int64_t began_at_us,
                             int64_t thawed_at_us, const char *reason);

/* Writes the newest count windows, oldest first, as an array. */
void freeze_history_write(const FreezeHistory *history, JsonWriter *writer, const char *name,
                          unsigned count);
