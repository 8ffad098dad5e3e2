/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * Going to the background. The process that was started waits until the daemon says that it is
 * ready or why it is not, and passes that on to whoever started it: message on standard error, exit
 * status.
 */
typedef struct Daemonize Daemonize;

/*
 * Forks. In the daemon (a session of its own, "/" as directory, standard input, output and error on
 * /dev/null) it returns; in the parent it does not. Call before anything that a fork does not
 * inherit: threads, record locks, timers.
 * With wanted false nothing happens and the other calls do nothing: returns NULL without an error.
 */
Daemonize *daemonize(bool wanted, GError **error);

/* The parent exits with 0. */
void daemonize_ready(Daemonize *daemon);

/* The parent prints message and exits with 1. Without a parent that waits, it is printed here. */
void daemonize_failed(Daemonize *daemon, const char *message);

/* Without a word before, the parent takes it for a failure. */
void daemonize_free(Daemonize *daemon);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Daemonize, daemonize_free)
