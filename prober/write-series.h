/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/*
 * How much one device wrote, interval by interval, for a drawing. Bounded: when there are too many
 * intervals, neighbours become one, so that a long hold is told more coarsely. An interval keeps
 * its own limits and is not put into bins of a fixed width: the writes of an interval that reaches
 * to the freeze must not appear to lie in the hold. Pure.
 */
#define WRITE_SERIES_MAX_INTERVALS 400

typedef struct {
    int64_t from_us; /* host's monotonic clock */
    int64_t to_us;
    uint64_t writes;
    unsigned phase; /* a CounterPhase; intervals of one phase are joined rather than those of two */
} WriteInterval;

typedef struct {
    GArray *intervals; /* of WriteInterval, in order */
} WriteSeries;

WriteSeries *write_series_new(void);
void write_series_free(WriteSeries *series);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WriteSeries, write_series_free)

void write_series_add(WriteSeries *series, const WriteInterval *interval);
