/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * The daemon's signals, taken by the main loop through a signalfd (GLib's own way starts a thread):
 * SIGTERM and SIGINT end the loop; SIGHUP reopens the log; SIGUSR1 and SIGUSR2 make it more and
 * less talkative. SIGPIPE is ignored.
 */
typedef struct Signals Signals;

/* Blocks the signals in the calling process, to be inherited by its children; programs it runs must
 * unblock them. Signals that arrive before the loop runs are kept for it. */
Signals *signals_new(GMainLoop *loop, GError **error);
void signals_free(Signals *signals);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Signals, signals_free)
