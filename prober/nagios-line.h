/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/probe-result.h"

#include <glib.h>

/*
 * A result as a monitoring plugin's output: one line "SERVICE STATUS - text | performance data",
 * and the exit status that goes with it (Nagios Plugin API, Monitoring Plugins Development
 * Guidelines). Pure.
 */
typedef enum { NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN } NagiosStatus;

/* FROZEN is OK, UNPROVEN a warning, NOT FROZEN critical, and so is a guest that may have been left
 * frozen; no verdict is unknown. */
NagiosStatus nagios_status(const ProbeResult *result);

/* Without a newline at the end; free with g_free(). */
char *nagios_line(const ProbeResult *result);
