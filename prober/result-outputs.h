/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/options.h"
#include "prober/probe-result.h"

#include <glib.h>
#include <stdbool.h>

/* The outputs that the verbs that judge have in common: --html, --prometheus, --nagios. */

/* Whether the files can be written, asked before a guest is disturbed. */
bool result_outputs_check(const Options *options, GError **error);

/*
 * Writes the files and, with --nagios, the line on standard output: a verb prints nothing else
 * there then. Returns the exit status: the given one; with --nagios the line's; VERB_EXIT_ERROR
 * instead of success when a file could not be written, which is said on standard error.
 */
int result_outputs_write(const Options *options, const ProbeResult *result, int exit_status);
