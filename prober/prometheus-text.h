/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/probe-result.h"

#include <glib.h>

/*
 * Results as metrics for node_exporter's textfile collector: the text exposition format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/), named by Prometheus' rules (base
 * units, state sets as one series per state). A collector throws a whole file away over one bad
 * line or one series told twice, so neither can be brought about by what a guest says. Pure.
 */

/* Series per guest of each metric that has one per filesystem or device. */
#define PROMETHEUS_TEXT_MAX_SERIES 64

/* results: of const ProbeResult *, one per guest. Free with g_free(). */
char *prometheus_text(const GPtrArray *results);
