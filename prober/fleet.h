/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/interrupt.h"
#include "prober/options.h"
#include "prober/verb.h"

/*
 * One verb on many guests side by side, at most options->parallel at a time, each in a process of
 * its own (prober/guest-job.h) that does what the verb does with one guest: a guest costs its own
 * time and nobody else's.
 *
 * Prints a table of them all at the end; with options->json each guest's object as it ends, a line
 * each, and an object with the member "summary" last. A signal ends all of them, which thaws the
 * guests that are frozen; those that the verb "freeze" had frozen already are thawed, too.
 *
 * Returns the exit status: fleet_exit_status() (prober/fleet-summary.h).
 */
int fleet_run(const Verb *verb, Options *options, Interrupt *interrupt);
