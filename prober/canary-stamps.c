/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/canary-stamps.h"
#include "prober/evidence-canary.h"

#include <math.h>
#include <string.h>

typedef struct {
    double begun_s;
    double done_s;
} Stamp;

/* Clocks of two machines run apart: a hold this much shorter surely lies within the real one. */
#define SURELY_WITHIN 0.9
#define STAMP_RESOLUTION_S 0.02

static bool read_stamp(const char *line, Stamp *stamp)
{
    char *end = NULL;

    stamp->begun_s = g_ascii_strtod(line, &end);
    if (end == line || *end != ' ')
        return false;
    line = end + 1;
    stamp->done_s = g_ascii_strtod(line, &end);
    return end != line && *end == '\0' && isfinite(stamp->begun_s) && isfinite(stamp->done_s);
}

static GArray *read_stamps(const char *output)
{
    GArray *stamps = g_array_new(FALSE, FALSE, sizeof(Stamp));
    g_auto(GStrv) lines = g_strsplit(output, "\n", CANARY_STAMPS_MAX);

    for (char **line = lines; *line; line++) {
        Stamp stamp;
        if (read_stamp(*line, &stamp))
            g_array_append_val(stamps, stamp);
    }
    return stamps;
}

static const Stamp *at(const GArray *stamps, unsigned index)
{
    return &g_array_index(stamps, Stamp, index);
}

static bool is_in_order(const GArray *stamps)
{
    double now_s = 0;

    for (unsigned i = 0; i < stamps->len; i++) {
        if (at(stamps, i)->begun_s < now_s || at(stamps, i)->done_s < at(stamps, i)->begun_s)
            return false;
        now_s = at(stamps, i)->done_s;
    }
    return true;
}

/* The index of the last write before the longest pause that touches the window. */
static unsigned find_longest_gap(const GArray *stamps, const CanaryMoments *moments)
{
    unsigned longest = 0;
    double longest_s = -1;

    for (unsigned i = 0; i + 1 < stamps->len; i++) {
        double gap_s = at(stamps, i + 1)->done_s - at(stamps, i)->done_s;
        bool touches = at(stamps, i + 1)->done_s > moments->before_s &&
                       at(stamps, i)->done_s < moments->after_s;
        if (touches && gap_s > longest_s) {
            longest = i;
            longest_s = gap_s;
        }
    }
    return longest;
}

static unsigned count_done_between(const GArray *stamps, double from_s, double to_s)
{
    unsigned count = 0;

    for (unsigned i = 0; i < stamps->len; i++) {
        double done_s = at(stamps, i)->done_s;
        if (done_s > from_s && done_s < to_s)
            count++;
    }
    return count;
}

/*
 * The number of writes that every stretch of the window as long as the hold contains: the hold is
 * one of these stretches. One is taken off, for a write done before the freeze whose stamp was
 * taken after it.
 */
static unsigned surely_during(const GArray *stamps, const CanaryMoments *moments)
{
    double length_s = moments->hold_s * SURELY_WITHIN - STAMP_RESOLUTION_S;
    unsigned fewest = G_MAXUINT;
    unsigned ahead = 0;

    if (length_s <= 0)
        return 0;
    for (unsigned i = 0; i < stamps->len; i++) {
        double from_s = at(stamps, i)->done_s;
        double to_s = from_s + length_s;
        if (from_s < moments->before_s || to_s > moments->after_s)
            continue;
        ahead = MAX(ahead, i + 1);
        while (ahead < stamps->len && at(stamps, ahead)->done_s < to_s)
            ahead++;
        fewest = MIN(fewest, ahead - i - 1);
    }
    fewest =
        MIN(fewest, count_done_between(stamps, moments->before_s, moments->before_s + length_s));
    return fewest > 0 ? fewest - 1 : 0;
}

static GArray *moments_on_host(const GArray *stamps, int64_t host_offset_us)
{
    GArray *moments = g_array_new(FALSE, FALSE, sizeof(int64_t));
    double apart_s =
        (at(stamps, stamps->len - 1)->done_s - at(stamps, 0)->done_s) / CANARY_STAMPS_MAX_MOMENTS;
    double next_s = 0;

    for (unsigned i = 0; i < stamps->len && moments->len < CANARY_STAMPS_MAX_MOMENTS; i++) {
        double done_s = at(stamps, i)->done_s;
        int64_t moment_us =
            (int64_t)(MIN(done_s, CANARY_MAX_UPTIME_S) * G_USEC_PER_SEC) + host_offset_us;
        if (done_s < next_s)
            continue;
        g_array_append_val(moments, moment_us);
        next_s = done_s + apart_s;
    }
    return moments;
}

CanaryRecord *canary_stamps_read(const char *mount_point, const char *output,
                                 const CanaryMoments *moments)
{
    CanaryRecord *record = canary_record_new(mount_point);
    g_autoptr(GArray) stamps = read_stamps(output);
    double hold_ms = moments->hold_s * 1000;

    if (stamps->len < 2) {
        record->error_text = g_strdup("the writer in the guest wrote nothing");
        return record;
    }
    if (!is_in_order(stamps)) {
        record->error_text = g_strdup("the times that the writer in the guest gave do not rise");
        return record;
    }
    unsigned gap = find_longest_gap(stamps, moments);
    const Stamp *last = at(stamps, gap);
    const Stamp *next = at(stamps, gap + 1);
    double late_ms = MIN((last->done_s - last->begun_s) * 1000, hold_ms / 4);

    if (moments->on_host)
        record->written_at_us = moments_on_host(stamps, moments->host_offset_us);
    record->longest_gap_ms = (next->done_s - last->done_s) * 1000;
    record->needed_gap_ms = MAX(evidence_canary_needed_gap_ms(hold_ms) - MAX(late_ms, 0), 1);
    record->writes_before = count_done_between(stamps, -G_MAXDOUBLE, moments->before_s);
    if (record->longest_gap_ms >= record->needed_gap_ms) {
        record->writes_after = count_done_between(stamps, last->done_s, G_MAXDOUBLE);
    } else {
        record->writes_after = count_done_between(stamps, moments->after_s, G_MAXDOUBLE);
        if (record->writes_before > 0 && record->writes_after > 0)
            record->writes_during = surely_during(stamps, moments);
    }
    return record;
}
