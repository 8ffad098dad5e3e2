/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/*
 * A program that the daemon runs for somebody: without a shell, in a session and process group of
 * its own, with a clean environment (nothing of the daemon's own), "/" as directory, /dev/null as
 * standard input, its output collected within a bound, and a deadline. Nothing here blocks; the end
 * comes from the main loop.
 *
 * The end is the end of the program itself: what it leaves behind in the background may go on, and
 * its output is not waited for. At the deadline the whole group gets SIGTERM and, where that is
 * not enough within CHILD_PROCESS_GRACE_MS, SIGKILL.
 */
#define CHILD_PROCESS_GRACE_MS 1000

typedef struct ChildProcess ChildProcess;

typedef struct {
    /* NULL: ended by itself with exit status 0. Else why not: "exit status 3",
     * "killed by signal 11 (Segmentation fault)", "still running after 30 s: killed",
     * "cannot be run: No such file or directory". */
    const GError *error;
    const char *output; /* standard output and error as they came, NUL-terminated */
    size_t output_bytes;
    uint64_t dropped_bytes; /* output beyond the bound */
    int64_t duration_us;
} ChildProcessEnd;

/* Everything in *end lives until child_process_free(), which may be called from here. */
typedef void (*ChildProcessDone)(const ChildProcessEnd *end, void *user_data);

/* argv[0] is the absolute path. timeout_ms 0: no deadline. done is never called before this
 * returns. */
ChildProcess *child_process_start(const char *const *argv, int64_t timeout_ms,
                                  size_t output_max_bytes, ChildProcessDone done, void *user_data,
                                  GError **error);

/* The same with something for its standard input, at most CHILD_PROCESS_INPUT_BYTES. */
#define CHILD_PROCESS_INPUT_BYTES 4096
ChildProcess *child_process_start_with_input(const char *const *argv, const char *input,
                                             size_t input_bytes, int64_t timeout_ms,
                                             size_t output_max_bytes, ChildProcessDone done,
                                             void *user_data, GError **error);

/* Kills the group if the program has not ended; done is not called any more. */
void child_process_free(ChildProcess *child);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ChildProcess, child_process_free)
