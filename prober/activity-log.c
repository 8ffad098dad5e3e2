/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/activity-log.h"

#define MIN_INTERVALS 10 /* before a device's rhythm is called one */

typedef struct {
    int64_t asked_us;
    int64_t answered_us;
} Moment;

typedef struct {
    bool present; /* the device was there */
    uint64_t writes;
    uint64_t bytes;
} Cell;

typedef struct {
    char *name;
    unsigned first; /* the sample that its first cell belongs to */
    GArray *cells;  /* of Cell */
} Column;

struct ActivityLog {
    GArray *moments;    /* of Moment */
    GPtrArray *columns; /* of Column */
    unsigned cells;
};

static void column_free(gpointer data)
{
    Column *column = data;

    g_free(column->name);
    g_array_unref(column->cells);
    g_free(column);
}

ActivityLog *activity_log_new(void)
{
    ActivityLog *log = g_new0(ActivityLog, 1);

    log->moments = g_array_new(FALSE, FALSE, sizeof(Moment));
    log->columns = g_ptr_array_new_with_free_func(column_free);
    return log;
}

void activity_log_free(ActivityLog *log)
{
    g_array_unref(log->moments);
    g_ptr_array_unref(log->columns);
    g_free(log);
}

static Column *column_for(ActivityLog *log, const char *name)
{
    for (unsigned i = 0; i < log->columns->len; i++) {
        Column *column = g_ptr_array_index(log->columns, i);
        if (g_strcmp0(column->name, name) == 0)
            return column;
    }
    if (log->columns->len == COUNTER_WATCH_MAX_DEVICES)
        return NULL;

    Column *column = g_new0(Column, 1);
    column->name = g_strdup(name);
    column->first = log->moments->len;
    column->cells = g_array_new(FALSE, FALSE, sizeof(Cell));
    g_ptr_array_add(log->columns, column);
    return column;
}

static const Cell *cell_at(const Column *column, unsigned sample)
{
    if (sample < column->first || sample - column->first >= column->cells->len)
        return NULL;
    const Cell *cell = &g_array_index(column->cells, Cell, sample - column->first);
    return cell->present ? cell : NULL;
}

static void fill_up(const ActivityLog *log, Column *column)
{
    const Cell absent = {.present = false};

    while (column->first + column->cells->len < log->moments->len)
        g_array_append_val(column->cells, absent);
}

bool activity_log_add(ActivityLog *log, int64_t asked_us, int64_t answered_us, const GArray *sample)
{
    Moment moment = {asked_us, answered_us};

    if (log->cells + sample->len > ACTIVITY_LOG_MAX_CELLS)
        return false;
    for (unsigned i = 0; i < sample->len; i++) {
        const DeviceCounters *now = &g_array_index(sample, DeviceCounters, i);
        Cell cell = {true, now->writes, now->bytes};
        Column *column = column_for(log, now->name);
        if (!column || column->first + column->cells->len > log->moments->len)
            continue;
        fill_up(log, column);
        g_array_append_val(column->cells, cell);
        log->cells++;
    }
    g_array_append_val(log->moments, moment);
    return true;
}

unsigned activity_log_samples(const ActivityLog *log)
{
    return log->moments->len;
}

static const Moment *moment_at(const ActivityLog *log, unsigned sample)
{
    return &g_array_index(log->moments, Moment, sample);
}

/* Of the interval that ends with this sample. */
static CounterPhase phase_of(const ActivityLog *log, unsigned sample, const ActivityWindow *window)
{
    int64_t from_us = moment_at(log, sample > 0 ? sample - 1 : 0)->asked_us;
    int64_t to_us = moment_at(log, sample)->answered_us;

    if (!window || to_us <= window->freeze_us)
        return COUNTER_PHASE_BEFORE;
    if (from_us >= window->thawed_us)
        return COUNTER_PHASE_AFTER;
    return from_us >= window->frozen_us && to_us <= window->thaw_us ? COUNTER_PHASE_HOLD
                                                                    : COUNTER_PHASE_FREEZING;
}

CounterWatch *activity_log_cut(const ActivityLog *log, const ActivityWindow *window)
{
    CounterWatch *watch = counter_watch_new();

    for (unsigned s = 0; s < log->moments->len; s++) {
        g_autoptr(GArray) sample = counter_sample_new();
        for (unsigned i = 0; i < log->columns->len; i++) {
            const Column *column = g_ptr_array_index(log->columns, i);
            const Cell *cell = cell_at(column, s);
            if (cell)
                counter_sample_add(sample, column->name, cell->writes, cell->bytes);
        }
        counter_watch_add_at(watch, phase_of(log, s, window), sample,
                             moment_at(log, s)->answered_us);
    }
    return watch;
}

typedef enum { INTERVAL_UNKNOWN, INTERVAL_STILL, INTERVAL_MOVED } Interval;

static Interval interval_of(const Column *column, unsigned sample)
{
    const Cell *before = sample > 0 ? cell_at(column, sample - 1) : NULL;
    const Cell *now = cell_at(column, sample);

    if (!before || !now)
        return INTERVAL_UNKNOWN;
    return before->writes == now->writes && before->bytes == now->bytes ? INTERVAL_STILL
                                                                        : INTERVAL_MOVED;
}

static ActivityRhythm *rhythm_of(const ActivityLog *log, const Column *column)
{
    ActivityRhythm *rhythm = g_new0(ActivityRhythm, 1);
    unsigned last = column->first; /* the sample after which it last wrote, at the earliest */

    rhythm->name = g_strdup(column->name);
    for (unsigned s = column->first + 1; s < log->moments->len; s++) {
        Interval interval = interval_of(column, s);
        int64_t pause_us = moment_at(log, s)->answered_us - moment_at(log, last)->asked_us;
        rhythm->longest_pause_us = MAX(rhythm->longest_pause_us, pause_us);
        rhythm->intervals += interval != INTERVAL_UNKNOWN;
        rhythm->moved += interval == INTERVAL_MOVED;
        if (interval == INTERVAL_MOVED)
            last = s - 1;
    }
    return rhythm;
}

GPtrArray *activity_log_rhythms(const ActivityLog *log)
{
    GPtrArray *rhythms = g_ptr_array_new_with_free_func((GDestroyNotify)activity_rhythm_free);

    for (unsigned i = 0; i < log->columns->len; i++)
        g_ptr_array_add(rhythms, rhythm_of(log, g_ptr_array_index(log->columns, i)));
    return rhythms;
}

void activity_rhythm_free(ActivityRhythm *rhythm)
{
    g_free(rhythm->name);
    g_free(rhythm);
}

static double share_of(const ActivityRhythm *rhythm)
{
    return rhythm->intervals > 0 ? (double)rhythm->moved / rhythm->intervals : 0;
}

bool activity_rhythm_is_busy(const ActivityRhythm *rhythm)
{
    return rhythm->intervals >= MIN_INTERVALS && share_of(rhythm) >= ACTIVITY_BUSY_SHARE;
}

typedef struct {
    GPtrArray *columns; /* of the busy ones; borrowed */
    double share;       /* of the least busy one */
} Busy;

static Busy find_busy(const ActivityLog *log)
{
    g_autoptr(GPtrArray) rhythms = activity_log_rhythms(log);
    Busy busy = {g_ptr_array_new(), 1};

    for (unsigned i = 0; i < rhythms->len; i++) {
        const ActivityRhythm *rhythm = g_ptr_array_index(rhythms, i);
        if (!activity_rhythm_is_busy(rhythm))
            continue;
        g_ptr_array_add(busy.columns, g_ptr_array_index(log->columns, i));
        busy.share = MIN(busy.share, share_of(rhythm));
    }
    return busy;
}

static bool all_still(const Busy *busy, unsigned sample)
{
    for (unsigned i = 0; i < busy->columns->len; i++) {
        if (interval_of(g_ptr_array_index(busy->columns, i), sample) != INTERVAL_STILL)
            return false;
    }
    return true;
}

GArray *activity_log_stills(const ActivityLog *log)
{
    GArray *stills = g_array_new(FALSE, FALSE, sizeof(ActivityStill));
    Busy busy = find_busy(log);
    unsigned run = 0; /* still intervals before this sample */

    for (unsigned s = 1; busy.columns->len > 0 && s <= log->moments->len; s++) {
        if (s < log->moments->len && all_still(&busy, s)) {
            run++;
            continue;
        }
        ActivityStill still = {moment_at(log, s - 1 - run)->answered_us,
                               moment_at(log, s - 1)->asked_us};
        if (run * busy.share >= ACTIVITY_MIN_EXPECTED)
            g_array_append_val(stills, still);
        run = 0;
    }
    g_ptr_array_unref(busy.columns);
    return stills;
}
