/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/*
 * The child's side of starting a program: a session and process group of its own, every signal at
 * its default, "/" as directory, umask 022, no descriptor but the standard ones.
 */
typedef struct {
    const char *const *argv;
    const char *const *environment;
    bool search_path; /* argv[0] without a slash is looked for in our own PATH (execvp(3)) */
    int input_fd;     /* each still the caller's; -1: /dev/null */
    int output_fd;
    int error_fd;
} SpawnOptions;

/*
 * Forks; does not wait for the exec. *exec_fd, the caller's and non-blocking, becomes readable when
 * that is settled: an errno (int) when the program could not be run, the end when it runs.
 * Returns the pid, -1 with errno.
 */
pid_t spawn_program(const SpawnOptions *options, int *exec_fd);
