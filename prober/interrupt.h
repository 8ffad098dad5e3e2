/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * SIGINT, SIGTERM and SIGHUP as a descriptor, so that no signal can end the program between a
 * freeze and its thaw. A second signal changes nothing.
 */
typedef struct Interrupt Interrupt;

/* Blocks the signals for the program from here on. */
Interrupt *interrupt_new(GError **error);
void interrupt_free(Interrupt *interrupt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Interrupt, interrupt_free)

/* Readable, and stays so, once a signal has come. Owned by interrupt. */
int interrupt_fd(const Interrupt *interrupt);

/* Whether a signal has come; sets a PROBE_ERROR_INTERRUPTED that names it. */
bool interrupt_check(Interrupt *interrupt, GError **error);

/* Sleeps; false with the same error when a signal ended it early. */
bool interrupt_sleep(Interrupt *interrupt, int64_t sleep_us, GError **error);

/* Takes one signal that has come and returns its number, 0 when there is none: afterwards it is as
 * if that signal had not come. For who passes signals on. */
int interrupt_take(Interrupt *interrupt);

/* The signal that has come, to pass it on; 0: none. Takes nothing: as interrupt_check(). */
int interrupt_signal(const Interrupt *interrupt);
