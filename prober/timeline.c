/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/timeline.h"

/* Shown before the freeze and after the thaw where no counters tell how long was watched. */
#define MARGIN_US (1000 * 1000)
/* A guest may send any number; no freeze takes longer than this. */
#define MAX_STAGE_MS 86400e3

static void lane_free(gpointer data)
{
    TimelineLane *lane = data;

    g_free(lane->name);
    g_free(lane->detail);
    g_array_unref(lane->spans);
    g_array_unref(lane->dots);
    g_free(lane);
}

void timeline_free(Timeline *timeline)
{
    g_ptr_array_unref(timeline->filesystems);
    g_free(timeline);
}

static TimelineLane *add_lane(Timeline *timeline, const char *name)
{
    TimelineLane *lane = g_new0(TimelineLane, 1);

    lane->name = g_strdup(name);
    lane->spans = g_array_new(FALSE, FALSE, sizeof(TimelineSpan));
    lane->dots = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_ptr_array_add(timeline->filesystems, lane);
    return lane;
}

static void add_span(TimelineLane *lane, TimelineStage stage, int64_t from_us, int64_t to_us)
{
    TimelineSpan span = {stage, from_us, to_us};

    if (to_us >= from_us)
        g_array_append_val(lane->spans, span);
}

static int64_t stage_us(double duration_ms)
{
    return (int64_t)(CLAMP(duration_ms, 0, MAX_STAGE_MS) * 1000);
}

/* ---- the guest's clock ---- */

/* The last filesystem's freeze by the guest's clock; 0 when no moments were told. */
static int64_t last_frozen_at_us(const GuestWindow *window)
{
    int64_t last_us = 0;

    for (unsigned i = 0; i < window->filesystems->len; i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        last_us = MAX(last_us, filesystem->frozen_at_us);
    }
    return last_us;
}

/* A moment of the guest's clock, on the timeline, within limits. Differences are taken as unsigned:
 * a guest may send any two numbers. */
static int64_t place(const Timeline *timeline, int64_t guest_us, int64_t anchor_us,
                     int64_t least_us, int64_t most_us)
{
    uint64_t apart_us = guest_us > anchor_us ? (uint64_t)guest_us - (uint64_t)anchor_us
                                             : (uint64_t)anchor_us - (uint64_t)guest_us;
    int64_t bounded_us = (int64_t)MIN(apart_us, (uint64_t)stage_us(MAX_STAGE_MS));
    int64_t moment_us = timeline->frozen_us + (guest_us > anchor_us ? bounded_us : -bounded_us);

    return CLAMP(moment_us, least_us, MAX(least_us, most_us));
}

/* ---- filesystems ---- */

static void append_part(GString *text, const char *name, double duration_ms)
{
    if (duration_ms >= 0)
        g_string_append_printf(text, "%s%s %.1f ms", text->len > 0 ? ", " : "", name, duration_ms);
}

static char *describe(const WindowFilesystem *filesystem)
{
    GString *text = g_string_new(NULL);

    if (filesystem->outcome && g_strcmp0(filesystem->outcome, "thawed") != 0)
        g_string_append(text, filesystem->outcome);
    append_part(text, "pre-sync", filesystem->presync_ms);
    append_part(text, "freeze", filesystem->freeze_ms);
    append_part(text, "thaw", filesystem->thaw_ms);
    return g_string_free(text, FALSE);
}

/* When a filesystem became frozen; the reply's moment where that is not told. */
static int64_t frozen_moment_us(const Timeline *timeline, const WindowFilesystem *filesystem,
                                int64_t anchor_us)
{
    if (filesystem->frozen_at_us <= 0)
        return timeline->frozen_us;
    return place(timeline, filesystem->frozen_at_us, anchor_us, 0, timeline->frozen_us);
}

/* All pre-syncs begin at once, and the first freeze after the last of them. */
static int64_t presync_begin_us(const Timeline *timeline, const GuestWindow *window,
                                int64_t anchor_us)
{
    int64_t freeze_us = timeline->frozen_us;
    int64_t longest_us = 0;

    for (unsigned i = 0; i < window->filesystems->len; i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        freeze_us = MIN(freeze_us, frozen_moment_us(timeline, filesystem, anchor_us) -
                                       stage_us(filesystem->freeze_ms));
        longest_us = MAX(longest_us, stage_us(filesystem->presync_ms));
    }
    return MAX(freeze_us - longest_us, 0);
}

static void add_dots(TimelineLane *lane, const Timeline *timeline, const CanaryRecord *record,
                     int64_t anchor_us)
{
    for (unsigned i = 0; record->written_at_us && i < record->written_at_us->len; i++) {
        int64_t moment_us = g_array_index(record->written_at_us, int64_t, i) - timeline->zero_us;
        if (moment_us >= timeline->begin_us && moment_us <= timeline->end_us)
            g_array_append_val(lane->dots, moment_us);
    }
    const int64_t ends_us[] = {record->gap_start_at_us, record->gap_end_at_us};
    for (unsigned i = 0; i < G_N_ELEMENTS(ends_us); i++) {
        if (ends_us[i] <= 0 || anchor_us <= 0)
            continue;
        int64_t moment_us =
            place(timeline, ends_us[i], anchor_us, timeline->begin_us, timeline->end_us);
        g_array_append_val(lane->dots, moment_us);
    }
}

static const CanaryRecord *find_record(const GPtrArray *canaries, const char *mount_point)
{
    for (unsigned i = 0; canaries && i < canaries->len; i++) {
        const CanaryRecord *record = g_ptr_array_index(canaries, i);
        if (g_strcmp0(record->mount_point, mount_point) == 0)
            return record;
    }
    return NULL;
}

static void add_filesystem(Timeline *timeline, const WindowFilesystem *filesystem,
                           const CanaryRecord *record, int64_t presync_us, int64_t anchor_us)
{
    TimelineLane *lane = add_lane(timeline, filesystem->mount_point);
    int64_t frozen_us = frozen_moment_us(timeline, filesystem, anchor_us);
    int64_t freeze_us = MAX(frozen_us - stage_us(filesystem->freeze_ms), 0);
    int64_t thawed_us = timeline->thawed_us;

    if (filesystem->thawed_at_us > 0 && anchor_us > 0)
        thawed_us =
            place(timeline, filesystem->thawed_at_us, anchor_us, frozen_us, timeline->thawed_us);
    int64_t thaw_us = filesystem->thaw_ms >= 0 ? thawed_us - stage_us(filesystem->thaw_ms)
                                               : MIN(timeline->thaw_us, thawed_us);
    thaw_us = MAX(thaw_us, frozen_us);

    lane->detail = describe(filesystem);
    if (filesystem->presync_ms >= 0)
        add_span(lane, TIMELINE_PRESYNC, presync_us,
                 MIN(presync_us + stage_us(filesystem->presync_ms), freeze_us));
    if (filesystem->freeze_ms >= 0)
        add_span(lane, TIMELINE_FREEZE, freeze_us, frozen_us);
    add_span(lane, TIMELINE_HOLD, frozen_us, thaw_us);
    add_span(lane, TIMELINE_THAW, thaw_us, thawed_us);
    if (record)
        add_dots(lane, timeline, record, anchor_us);
}

static bool is_full(Timeline *timeline)
{
    /* The guest's own lane does not count. */
    if (timeline->filesystems->len <= TIMELINE_MAX_LANES)
        return false;
    timeline->filesystems_left_out++;
    return true;
}

static void add_filesystems(Timeline *timeline, const GuestWindow *window,
                            const GPtrArray *canaries)
{
    int64_t anchor_us = last_frozen_at_us(window);
    int64_t presync_us = presync_begin_us(timeline, window, anchor_us);

    for (unsigned i = 0; i < window->filesystems->len; i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        if (!is_full(timeline))
            add_filesystem(timeline, filesystem, find_record(canaries, filesystem->mount_point),
                           presync_us, anchor_us);
    }
    for (unsigned i = 0; canaries && i < canaries->len; i++) {
        const CanaryRecord *record = g_ptr_array_index(canaries, i);
        if (guest_window_find(window, record->mount_point) || is_full(timeline))
            continue;
        TimelineLane *lane = add_lane(timeline, record->mount_point);
        lane->detail = g_strdup(record->error_text ? "no writes known" : "writes only");
        add_dots(lane, timeline, record, anchor_us);
    }
}

static void add_guest(Timeline *timeline, const GuestWindow *window)
{
    TimelineLane *lane = add_lane(timeline, "guest");

    lane->detail = g_strdup_printf(
        "freeze %.1f ms, held %.2f s, thaw %.1f ms", (double)window->freeze_us / 1000,
        (double)window->hold_us / G_USEC_PER_SEC, (double)window->thaw_us / 1000);
    add_span(lane, TIMELINE_FREEZE, 0, timeline->frozen_us);
    add_span(lane, TIMELINE_HOLD, timeline->frozen_us, timeline->thaw_us);
    add_span(lane, TIMELINE_THAW, timeline->thaw_us, timeline->thawed_us);
}

/* ---- all of it ---- */

/* When counters were first and last read, by the host's clock; false when never. */
static bool watched_span(const CounterWatch *watch, int64_t *from_us, int64_t *to_us)
{
    *from_us = G_MAXINT64;
    *to_us = G_MININT64;
    for (unsigned i = 0; watch && i < watch->devices->len; i++) {
        const DeviceActivity *device = g_ptr_array_index(watch->devices, i);
        const GArray *intervals = device->series->intervals;
        if (intervals->len == 0)
            continue;
        *from_us = MIN(*from_us, g_array_index(intervals, WriteInterval, 0).from_us);
        *to_us = MAX(*to_us, g_array_index(intervals, WriteInterval, intervals->len - 1).to_us);
    }
    return *from_us < *to_us;
}

Timeline *timeline_new(const GuestWindow *window, const CounterWatch *watch,
                       const GPtrArray *canaries)
{
    int64_t from_us;
    int64_t to_us;
    bool watched = watched_span(watch, &from_us, &to_us);
    bool has_window = window && window->frozen_at_us > 0;

    if (!watched && !has_window)
        return NULL;
    Timeline *timeline = g_new0(Timeline, 1);
    timeline->filesystems = g_ptr_array_new_with_free_func(lane_free);
    timeline->has_window = has_window;
    timeline->zero_us = has_window ? window->frozen_at_us - window->freeze_us : from_us;
    if (watched) {
        timeline->begin_us = from_us - timeline->zero_us;
        timeline->end_us = to_us - timeline->zero_us;
        timeline->devices = watch->devices;
        timeline->devices_left_out =
            watch->devices->len - MIN(watch->devices->len, TIMELINE_MAX_LANES);
    }
    if (!has_window)
        return timeline;

    timeline->frozen_us = window->freeze_us;
    timeline->thaw_us = timeline->frozen_us + window->hold_us;
    timeline->thawed_us = timeline->thaw_us + window->thaw_us;
    timeline->begin_us = MIN(timeline->begin_us, watched ? 0 : -MARGIN_US);
    timeline->end_us = MAX(timeline->end_us, timeline->thawed_us + (watched ? 0 : MARGIN_US));
    add_guest(timeline, window);
    add_filesystems(timeline, window, canaries);
    return timeline;
}

const char *timeline_stage_name(TimelineStage stage)
{
    static const char *const names[] = {
        [TIMELINE_PRESYNC] = "pre-sync",
        [TIMELINE_FREEZE] = "freeze",
        [TIMELINE_HOLD] = "hold",
        [TIMELINE_THAW] = "thaw",
    };

    return names[stage];
}
