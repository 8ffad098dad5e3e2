/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/write-series.h"

WriteSeries *write_series_new(void)
{
    WriteSeries *series = g_new0(WriteSeries, 1);

    series->intervals = g_array_new(FALSE, FALSE, sizeof(WriteInterval));
    return series;
}

void write_series_free(WriteSeries *series)
{
    g_array_unref(series->intervals);
    g_free(series);
}

static WriteInterval *at(const WriteSeries *series, unsigned index)
{
    return &g_array_index(series->intervals, WriteInterval, index);
}

/* Makes one out of two neighbours, wherever they are of one phase or, if regardless, everywhere. */
static void join_neighbours(WriteSeries *series, gboolean regardless)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < series->intervals->len; i++) {
        WriteInterval joined = *at(series, i);
        if (i + 1 < series->intervals->len &&
            (regardless || at(series, i + 1)->phase == joined.phase)) {
            i++;
            joined.to_us = at(series, i)->to_us;
            joined.writes += at(series, i)->writes;
        }
        *at(series, kept) = joined;
        kept++;
    }
    g_array_set_size(series->intervals, kept);
}

void write_series_add(WriteSeries *series, const WriteInterval *interval)
{
    if (series->intervals->len == WRITE_SERIES_MAX_INTERVALS)
        join_neighbours(series, FALSE);
    if (series->intervals->len == WRITE_SERIES_MAX_INTERVALS)
        join_neighbours(series, TRUE);
    g_array_append_val(series->intervals, *interval);
}
