/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The pid file: says who the daemon is, and by its lock (lockf(3), as qemu-ga's, so that the two
 * exclude each other) that there is only one. A crashed daemon's file is no obstacle: its lock is
 * gone. The lock belongs to this process alone: a forked child neither holds nor drops it.
 */
typedef struct PidFile PidFile;

/* The error names the process that holds it. */
PidFile *pid_file_new(const char *path, GError **error);
/* Removes the file. */
void pid_file_free(PidFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PidFile, pid_file_free)
