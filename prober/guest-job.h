/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/progress.h"

#include <glib.h>
#include <poll.h>
#include <stdbool.h>

/*
 * Work on one guest in a process of its own: whatever a guest does to the one that talks to it,
 * nobody else waits for it, runs out of memory with it or dies of it. What the work prints is
 * collected, up to a limit.
 */
typedef struct GuestJob GuestJob;

/* What a report may have; what comes after it is read and thrown away. */
#define GUEST_JOB_MAX_REPORT_BYTES (1024 * 1024)

#define GUEST_JOB_FDS 3

/* Runs in the process of its own, where standard output and standard error are pipes to the one
 * that started it. The value is the exit status. */
typedef int (*GuestWork)(void *data);

/*
 * Starts the work. The process gets SIGTERM should its parent die. Messages on its standard error
 * appear, line by line, on the parent's, with name before them, and progress, borrowed, makes way
 * for them. Errors are PROBE_ERROR_GUEST.
 */
GuestJob *guest_job_start(const char *name, GuestWork work, void *data, Progress *progress,
                          GError **error);

/* Closes what the parent holds of it, and leaves the process alone. */
void guest_job_free(GuestJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestJob, guest_job_free)

void guest_job_signal(const GuestJob *job, int number);

/* What to wait for with poll(2); fds has room for GUEST_JOB_FDS. */
void guest_job_poll(const GuestJob *job, struct pollfd *fds);
/* Takes in what has come, without waiting. Whether the process has ended and all it said is here.
 */
bool guest_job_advance(GuestJob *job);

/* After the end: what it printed, NUL-terminated; NULL: more than the limit. Owned by the job. */
const char *guest_job_report(const GuestJob *job);
/* After the end: its exit status; -1, and the signal that ended it in *number. */
int guest_job_status(const GuestJob *job, int *number);
