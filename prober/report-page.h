/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/probe-result.h"

#include <glib.h>

/*
 * A result as one HTML page to be attached to a ticket: verdict, evidence, a timeline, tables, the
 * end of the agent's log. It loads nothing and runs nothing (a Content-Security-Policy says so to
 * the browser), is readable in light and dark and on paper, and a guest can neither put markup into
 * it nor make it grow beyond a few megabytes. Pure.
 */

/* Lines of the agent's log that are shown. */
#define REPORT_PAGE_LOG_LINES 100

/* Free with g_free(). */
char *report_page(const ProbeResult *result);
