/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A function of ours that may sleep in the kernel, or that must not run as root: carried out by a
 * forked process, which writes its result and ends. Nothing here blocks.
 */
#define WORKER_PROCESS_RESULT_BYTES (4u * 1024 * 1024)

/* In the forked process: writes the result to result_fd and returns. */
typedef void (*WorkerProcessBody)(int result_fd, void *data);

/* error: the process could not finish ("still busy after 30 s", "killed by signal 9"); else the
 * result holds, NUL-terminated, valid until this returns. */
typedef void (*WorkerProcessDone)(const char *result, size_t length, const GError *error,
                                  void *user_data);

/* name: the process's (prctl(2), 15 characters). timeout_ms 0: no deadline; after it the process is
 * killed and not waited for. False with an error when there can be no process; done is not called
 * then, else once, from the main loop. */
bool worker_process_start(const char *name, WorkerProcessBody body, void *data, int64_t timeout_ms,
                          WorkerProcessDone done, void *user_data, GError **error);

/* Writes everything, in the forked process; false when nobody reads any more. */
bool worker_process_write(int result_fd, const void *bytes, size_t length);
