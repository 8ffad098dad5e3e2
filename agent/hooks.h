/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The administrator's hook: a program that is run as "PATH freeze" before the freeze and as
 * "PATH thaw" after the thaw, or a directory whose executable files are run so, in the order of
 * their names before and in the reverse order after (not those whose name begins with a dot or ends
 * as backups and packages' leftovers do: ~, .bak, .dpkg-old, .rpmsave, ...).
 *
 * Each has a deadline; on overrun its whole process group is killed. Output goes to the log, at
 * most HOOKS_OUTPUT_BYTES of each run. Nothing here blocks: results come from the main loop.
 */
#define HOOKS_OUTPUT_BYTES (16u * 1024)

typedef struct Hooks Hooks;

/* How one program ended. */
typedef struct {
    char *path;
    bool ok;
    char *error_text; /* NULL when ok; else names the program, the cause, its last line of output */
    int64_t duration_us;
} HookResult;

/* path NULL: no hooks, every run succeeds at once. timeout_ms 0: no limit. */
Hooks *hooks_new(const char *path, int64_t timeout_ms);
/* Kills what still runs. */
void hooks_free(Hooks *hooks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hooks, hooks_free)

/* results: of HookResult, in the order they ran, owned by hooks until the next run. error is NULL
 * when all ended well, borrowed. */
typedef void (*HooksDone)(const GPtrArray *results, const GError *error, void *user_data);

/* Runs the hooks with "freeze". With stop_at_failure the first failure ends it. done is never
 * called before this returns. */
void hooks_run_freeze(Hooks *hooks, bool stop_at_failure, HooksDone done, void *user_data);

/* Runs "thaw" for those hooks whose "freeze" was started, in reverse order; failures do not stop
 * it. While "freeze" hooks run it ends them first: the one under way is killed, and the done of
 * hooks_run_freeze() is not called any more. */
void hooks_run_thaw(Hooks *hooks, HooksDone done, void *user_data);
