/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * A command of the operator's that runs beside this program: no shell, its standard streams are
 * ours, a process group of its own. Where we are in the foreground of a terminal the command gets
 * that place until it ends, so that it can ask for a password and Ctrl-C reaches it. It cannot be
 * stopped from there (Ctrl-Z): it may hold a guest frozen.
 */
typedef struct CommandRun CommandRun;

typedef struct {
    bool by_signal;
    int number; /* the exit status, or the signal's number */
} CommandEnd;

/* arguments: the program, looked up in PATH, and its arguments. out_fd becomes the command's
 * standard output. NULL with PROBE_ERROR_USAGE when it cannot be started. */
CommandRun *command_run_start(const char *const *arguments, int out_fd, GError **error);

/* Readable once the command has ended or may have. Owned by run. */
int command_run_fd(const CommandRun *run);

/* Passes a signal on to the command's process group. */
void command_run_signal(CommandRun *run, int number);

/* Whether the command has ended; then fills *end. Never waits. */
bool command_run_ended(CommandRun *run, CommandEnd *end);

/* Leaves a command that has not ended to itself. */
void command_run_free(CommandRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandRun, command_run_free)

/* "ended with exit status 1", "was ended by SIGTERM"; free with g_free(). */
char *command_end_text(const CommandEnd *end);
