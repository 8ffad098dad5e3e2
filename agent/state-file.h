/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-board.h"
#include "platform/freeze-plan.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The state file: what was about to be frozen, for the case that the daemon and its freezer process
 * die together. It is a key file in the state directory (tmpfs), written before the first FIFREEZE
 * and removed after the thaw; nobody touches it in between.
 */
typedef struct {
    bool thawed;          /* an orphaned freezer process, or --thaw, has thawed since */
    char *command;        /* who asked for the freeze */
    pid_t freezer_pid;    /* the freezer process of that window */
    pid_t daemon_pid;     /* the agent of that window */
    char *word;           /* what the next thaw is to be told; NULL: to be made up */
    char *thawed_by;      /* who has; NULL unless thawed */
    int64_t began_at_us;  /* CLOCK_REALTIME */
    int64_t thawed_at_us; /* CLOCK_REALTIME; 0 unless thawed */
    int rcu_restore;      /* what to put back into /sys/kernel/rcu_expedited; -1: nothing */
    FreezePlan *plan;     /* the filesystems */
} StateFile;

void state_file_free(StateFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StateFile, state_file_free)

/* Writes the file anew, creating its directory when it is missing. stragglers: what earlier windows
 * may still hold frozen; may be empty. */
bool state_file_write(const char *path, const char *command, const FreezePlan *plan,
                      const FreezePlan *stragglers, pid_t freezer_pid, GError **error);

/* Takes a filesystem out of an existing file: it turned out to be frozen by somebody else. */
bool state_file_leave_out(const char *path, dev_t device, GError **error);

/* True when the file can be written while everything is frozen: it lies on a tmpfs. */
bool state_file_never_freezes(const char *path);

/* What the file tells; NULL without an error when there is none. */
StateFile *state_file_read(const char *path, GError **error);

/* Notes in an existing file that its filesystems have been thawed, and by whom; with freezer_pid,
 * only if the file is of that freezer process's window. True when there is nothing to note. */
bool state_file_mark_thawed(const char *path, const char *by, pid_t freezer_pid, GError **error);

/* Leaves word for a host that has not thawed yet, over restarts of the agent: in the existing file,
 * or in a new one that names no filesystem. */
bool state_file_keep_word(const char *path, const char *word, GError **error);

/* True when the agent of that window still runs: its freezer process is alive and its child. Nobody
 * else may thaw then. */
bool state_file_is_in_use(const StateFile *file);

void state_file_remove(const char *path);
