/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/draw-timeline.h"
#include "prober/markup.h"

#include <inttypes.h>
#include <math.h>

/* All in the drawing's own units, about a pixel each. */
#define WIDTH 960.0
#define LEFT 250.0 /* the names stand left of it */
#define RIGHT 944.0
#define TOP 46.0
#define LANE 40.0
#define BAR 12.0 /* of a stage */
#define GAP 14.0 /* between the two kinds of lanes */
#define AXIS 30.0
#define MIN_SPAN 2.5 /* a stage shorter than a pixel is seen all the same */
#define NAME_CHARS 32
#define DETAIL_CHARS 50
#define MAX_TICKS 8

/* Intervals are counted up to what they would be in this time. */
#define RATE_US (100 * 1000)

typedef struct {
    GString *page;
    const Timeline *timeline;
    double y; /* of the next lane's top */
} Drawing;

static double x_of(const Drawing *drawing, int64_t moment_us)
{
    const Timeline *timeline = drawing->timeline;
    double span_us = (double)MAX(timeline->end_us - timeline->begin_us, 1);
    double share = (double)(moment_us - timeline->begin_us) / span_us;

    return LEFT + CLAMP(share, 0, 1) * (RIGHT - LEFT);
}

/* Numbers in markup have a point whatever the locale. */
static void append_number(GString *page, const char *name, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf(page, " %s=\"%s\"", name,
                           g_ascii_formatd(text, sizeof(text), "%.2f", value));
}

static void append_rect(GString *page, const char *class_name, double x, double y, double width,
                        double height)
{
    g_string_append_printf(page, "<rect class=\"%s\"", class_name);
    append_number(page, "x", x);
    append_number(page, "y", y);
    append_number(page, "width", width);
    append_number(page, "height", height);
}

static void append_text(GString *page, const char *class_name, double x, double y, const char *text,
                        unsigned max_chars)
{
    g_string_append_printf(page, "<text class=\"%s\"", class_name);
    append_number(page, "x", x);
    append_number(page, "y", y);
    g_string_append_c(page, '>');
    markup_append_short(page, text, max_chars);
    g_string_append(page, "</text>\n");
}

static void append_title(GString *page, const char *text)
{
    g_string_append(page, "<title>");
    markup_append(page, text);
    g_string_append(page, "</title>");
}

static void append_lane_name(Drawing *drawing, const char *name, const char *detail)
{
    GString *page = drawing->page;

    g_string_append(page, "<g>");
    append_title(page, name);
    append_text(page, "name", 0, drawing->y + 17, name, NAME_CHARS);
    append_text(page, "detail", 0, drawing->y + 31, detail, DETAIL_CHARS);
    g_string_append(page, "</g>\n<line class=\"rule\"");
    append_number(page, "x1", 0);
    append_number(page, "x2", RIGHT);
    append_number(page, "y1", drawing->y + LANE);
    append_number(page, "y2", drawing->y + LANE);
    g_string_append(page, "/>\n");
}

/* ---- filesystems ---- */

static void draw_span(Drawing *drawing, const TimelineSpan *span)
{
    static const char *const classes[] = {
        [TIMELINE_PRESYNC] = "presync",
        [TIMELINE_FREEZE] = "freeze",
        [TIMELINE_HOLD] = "hold",
        [TIMELINE_THAW] = "thaw",
    };
    double from = x_of(drawing, span->from_us);
    double width = x_of(drawing, span->to_us) - from;
    g_autofree char *title = g_strdup_printf("%s: %.1f ms", timeline_stage_name(span->stage),
                                             (double)(span->to_us - span->from_us) / 1000);

    /* The hold must not hide what lies beside it. */
    if (span->stage != TIMELINE_HOLD)
        width = MAX(width, MIN_SPAN);
    if (span->stage == TIMELINE_PRESYNC || span->stage == TIMELINE_FREEZE)
        from = MAX(x_of(drawing, span->to_us) - width, LEFT);
    /* Else a short freeze, drawn wider than it was, would cover it. */
    if (span->stage == TIMELINE_PRESYNC)
        from = MAX(from - MIN_SPAN, LEFT);
    append_rect(drawing->page, classes[span->stage], from, drawing->y + 7, width, BAR);
    g_string_append_c(drawing->page, '>');
    append_title(drawing->page, title);
    g_string_append(drawing->page, "</rect>\n");
}

static bool is_in_hold(const Timeline *timeline, int64_t moment_us)
{
    return timeline->has_window && moment_us > timeline->frozen_us && moment_us < timeline->thaw_us;
}

static void draw_dots(Drawing *drawing, const GArray *dots)
{
    double last = -1;

    for (unsigned i = 0; i < dots->len; i++) {
        int64_t moment_us = g_array_index(dots, int64_t, i);
        double x = x_of(drawing, moment_us);
        if (fabs(x - last) < 0.5)
            continue;
        last = x;
        g_string_append_printf(drawing->page, "<circle class=\"%s\"",
                               is_in_hold(drawing->timeline, moment_us) ? "bad" : "dot");
        append_number(drawing->page, "cx", x);
        append_number(drawing->page, "cy", drawing->y + 29);
        g_string_append(drawing->page, " r=\"2.5\"/>\n");
    }
}

static void draw_filesystem(Drawing *drawing, const TimelineLane *lane)
{
    append_lane_name(drawing, lane->name ? lane->name : "unnamed", lane->detail);
    for (unsigned i = 0; i < lane->spans->len; i++)
        draw_span(drawing, &g_array_index(lane->spans, TimelineSpan, i));
    draw_dots(drawing, lane->dots);
    drawing->y += LANE;
}

/* ---- devices ---- */

static double rate(const WriteInterval *interval)
{
    double length_us = (double)MAX(interval->to_us - interval->from_us, 1);

    return (double)interval->writes * RATE_US / MAX(length_us, RATE_US);
}

static void draw_interval(Drawing *drawing, const WriteInterval *interval, double highest)
{
    static const char *const classes[COUNTER_PHASES] = {
        [COUNTER_PHASE_BEFORE] = "write",
        [COUNTER_PHASE_FREEZING] = "between",
        [COUNTER_PHASE_HOLD] = "bad",
        [COUNTER_PHASE_AFTER] = "write",
    };
    int64_t zero_us = drawing->timeline->zero_us;
    double from = x_of(drawing, interval->from_us - zero_us);
    double width = x_of(drawing, interval->to_us - zero_us) - from;
    double height = MAX(rate(interval) / highest * (LANE - 8), 1.5);
    g_autofree char *title = g_strdup_printf("%" PRIu64 " writes in %.0f ms", interval->writes,
                                             (double)(interval->to_us - interval->from_us) / 1000);

    if (interval->writes == 0)
        return;
    append_rect(drawing->page, classes[interval->phase], from, drawing->y + LANE - height,
                MAX(width - 0.5, 0.8), height);
    g_string_append_c(drawing->page, '>');
    append_title(drawing->page, title);
    g_string_append(drawing->page, "</rect>\n");
}

static void draw_device(Drawing *drawing, const DeviceActivity *device)
{
    const GArray *intervals = device->series->intervals;
    double highest = 0;
    uint64_t total = 0;

    for (unsigned i = 0; i < intervals->len; i++) {
        const WriteInterval *interval = &g_array_index(intervals, WriteInterval, i);
        highest = MAX(highest, rate(interval));
        total += interval->writes;
    }
    g_autofree char *detail =
        total == 0 ? g_strdup("no writes")
                   : g_strdup_printf("%" PRIu64 " writes, at most %.0f in 100 ms", total, highest);
    append_lane_name(drawing, device->name, detail);
    for (unsigned i = 0; i < intervals->len; i++)
        draw_interval(drawing, &g_array_index(intervals, WriteInterval, i), MAX(highest, 1e-3));
    drawing->y += LANE;
}

/* ---- the ground ---- */

/* 1, 2 or 5 times a power of ten, so that there are at most MAX_TICKS of them. */
static double tick_s(double span_s)
{
    static const double steps[] = {1, 2, 5, 10};
    double least_s = MAX(span_s, 1e-6) / MAX_TICKS;
    double power = pow(10, floor(log10(least_s)));

    for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (steps[i] * power >= least_s)
            return steps[i] * power;
    }
    return 10 * power;
}

static void draw_axis(Drawing *drawing, double bottom)
{
    const Timeline *timeline = drawing->timeline;
    double begin_s = (double)timeline->begin_us / G_USEC_PER_SEC;
    double end_s = (double)timeline->end_us / G_USEC_PER_SEC;
    double step_s = tick_s(end_s - begin_s);

    for (double tick = ceil(begin_s / step_s); tick * step_s <= end_s; tick++) {
        double x = x_of(drawing, (int64_t)(tick * step_s * G_USEC_PER_SEC));
        char text[G_ASCII_DTOSTR_BUF_SIZE];
        g_autofree char *label = g_strdup_printf(
            "%s s", g_ascii_formatd(text, sizeof(text), "%g", tick == 0 ? 0 : tick * step_s));
        g_string_append(drawing->page, "<line class=\"tick\"");
        append_number(drawing->page, "x1", x);
        append_number(drawing->page, "x2", x);
        append_number(drawing->page, "y1", TOP);
        append_number(drawing->page, "y2", bottom);
        g_string_append(drawing->page, "/>\n");
        append_text(drawing->page, "axis", x, bottom + 17, label, NAME_CHARS);
    }
}

/* Lies behind all lanes, so that what is written in the hold is seen to be. */
static void draw_band(Drawing *drawing, double bottom)
{
    const Timeline *timeline = drawing->timeline;
    double from = x_of(drawing, timeline->frozen_us);
    double to = x_of(drawing, timeline->thaw_us);
    g_autofree char *label = g_strdup_printf(
        "held for %.2f s", (double)(timeline->thaw_us - timeline->frozen_us) / G_USEC_PER_SEC);

    if (!timeline->has_window)
        return;
    append_rect(drawing->page, "band", from, TOP - 20, to - from, bottom - TOP + 20);
    g_string_append(drawing->page, "/>\n");
    append_text(drawing->page, "axis", (from + to) / 2, TOP - 6, label, NAME_CHARS);
}

static void draw_left_out(Drawing *drawing, unsigned count, const char *what)
{
    g_autofree char *text = g_strdup_printf("... and %u more %s", count, what);

    if (count == 0)
        return;
    append_text(drawing->page, "detail", 0, drawing->y + 14, text, DETAIL_CHARS);
    drawing->y += LANE / 2;
}

static void draw_legend(const Drawing *drawing)
{
    static const struct {
        const char *class_name;
        const char *meaning;
    } keys[] = {
        {"presync", "pre-sync"},
        {"freeze", "freeze"},
        {"hold", "hold"},
        {"thaw", "thaw"},
        {"dot", "write of the canary completed"},
        {"write", "writes of the device"},
        {"between", "writes around the freeze's reply: prove nothing"},
        {"bad", "written during the hold"},
    };

    g_string_append(drawing->page, "<ul class=\"legend\">\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
        g_string_append_printf(drawing->page,
                               "<li><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect "
                               "class=\"%s\" width=\"12\" height=\"12\" rx=\"2\"/></svg>%s</li>\n",
                               keys[i].class_name, keys[i].meaning);
    g_string_append(drawing->page, "</ul>\n");
}

static double lanes_height(const Timeline *timeline)
{
    unsigned devices = timeline->devices ? MIN(timeline->devices->len, TIMELINE_MAX_LANES) : 0;
    double height = timeline->filesystems->len * LANE + devices * LANE;

    height += timeline->filesystems->len > 0 && devices > 0 ? GAP : 0;
    height += timeline->filesystems_left_out > 0 ? LANE / 2 : 0;
    return height + (timeline->devices_left_out > 0 ? LANE / 2 : 0);
}

void draw_timeline(GString *page, const Timeline *timeline)
{
    Drawing drawing = {page, timeline, TOP};
    double bottom = TOP + lanes_height(timeline);

    g_string_append(page,
                    "<svg class=\"timeline\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\"");
    g_string_append_printf(page, " viewBox=\"0 0 %d %d\">\n", (int)WIDTH, (int)(bottom + AXIS));
    append_title(page, "What each filesystem and each device did, over time");
    draw_band(&drawing, bottom);
    draw_axis(&drawing, bottom);
    for (unsigned i = 0; i < timeline->filesystems->len; i++)
        draw_filesystem(&drawing, g_ptr_array_index(timeline->filesystems, i));
    draw_left_out(&drawing, timeline->filesystems_left_out, "filesystems");
    drawing.y += timeline->filesystems->len > 0 ? GAP : 0;
    for (unsigned i = 0; timeline->devices && i < MIN(timeline->devices->len, TIMELINE_MAX_LANES);
         i++)
        draw_device(&drawing, g_ptr_array_index(timeline->devices, i));
    draw_left_out(&drawing, timeline->devices_left_out, "devices");
    g_string_append(page, "</svg>\n");
    draw_legend(&drawing);
}
