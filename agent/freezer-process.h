/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Its exit status when it cannot start the threads of a window that it is to thaw. */
#define FREEZER_EXIT_NO_THREADS 3

/*
 * The freezer process: steps 4 to 7 of the freeze engine, apart from the daemon so that neither's
 * end leaves a filesystem frozen. Called in the child of fork(2); never returns.
 *
 * socket_fd: its end of the SOCK_SEQPACKET pair (agent/freezer-message.h).
 * phase_fd: an eventfd, written whenever the board's phase has changed.
 * daemon_pid: the process whose end means thaw and exit.
 * state_path: the state file, marked once an orphaned window has been thawed.
 * All other descriptors above 2 are closed.
 */
G_NORETURN void freezer_process_run(int socket_fd, int phase_fd, pid_t daemon_pid,
                                    const char *state_path);
