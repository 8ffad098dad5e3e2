/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page, the metrics and the line, for guests that would rather write them themselves. */
#include "prober/disk-history.h"
#include "prober/draw-timeline.h"
#include "prober/nagios-line.h"
#include "prober/prometheus-text.h"
#include "prober/report-page.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define HOSTILE "</title><script>alert(1)</script>\"'><b \n\033[2J\377|\\"

typedef struct {
    ProbeResult result;
    GuestWindow *window;
    CounterWatch *watch;
    DiskHistory *disks;
    GPtrArray *evidence;
    GPtrArray *log;
} Scene;

static WindowFilesystem *add_filesystem(GuestWindow *window, const char *name)
{
    WindowFilesystem *filesystem = g_new0(WindowFilesystem, 1);

    filesystem->mount_point = g_strdup(name);
    filesystem->fs_type = g_strdup(name);
    filesystem->device = g_strdup(name);
    filesystem->outcome = g_strdup(name);
    filesystem->presync_ms = 3;
    filesystem->freeze_ms = 2;
    filesystem->held_ms = 2000;
    filesystem->thaw_ms = 1;
    filesystem->canary = canary_record_new(name);
    filesystem->canary->error_text = g_strdup(name);
    g_ptr_array_add(window->filesystems, filesystem);
    return filesystem;
}

static void add_sample(CounterWatch *watch, CounterPhase phase, const char *name, uint64_t writes,
                       int64_t at_ms)
{
    g_autoptr(GArray) sample = counter_sample_new();

    counter_sample_add(sample, name, writes, writes * 4096);
    counter_watch_add_at(watch, phase, sample, at_ms * 1000);
}

static void add_disk_reading(DiskHistory *history, DiskPhase phase, const char *name,
                             DiskState found)
{
    g_autoptr(GPtrArray) states =
        g_ptr_array_new_with_free_func((GDestroyNotify)filesystem_state_free);
    FilesystemState *state = filesystem_state_new(name, found, g_strdup(name));

    state->volume = g_strdup(name);
    g_ptr_array_add(states, state);
    disk_history_add(history, phase, states);
}

/* Frozen from 10.000 s to 10.010 s, held to 12.010 s, thawed at 12.020 s. */
static Scene *scene_new(const char *name)
{
    Scene *scene = g_new0(Scene, 1);

    scene->window = guest_window_new();
    scene->window->freeze_replied = true;
    scene->window->frozen_count = 1;
    scene->window->freeze_us = 10 * 1000;
    scene->window->frozen_at_us = 10010 * 1000;
    scene->window->hold_us = 2000 * 1000;
    scene->window->thaw_us = 10 * 1000;
    add_filesystem(scene->window, name);
    scene->watch = counter_watch_new();
    scene->disks = disk_history_new();
    scene->evidence = g_ptr_array_new_with_free_func((GDestroyNotify)evidence_free);
    g_ptr_array_add(scene->evidence,
                    evidence_new(EVIDENCE_CLAIM, EVIDENCE_FOR, g_strdup(name), name));
    scene->log = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(scene->log, g_strdup(name));
    scene->result = (ProbeResult){
        .verb = "verify",
        .guest = name,
        .began_at_us = 1795227890914908,
        .took_us = 4100 * 1000,
        .judged = true,
        .verdict = VERDICT_FROZEN,
        .consistency = CONSISTENCY_FILESYSTEM,
        .evidence = scene->evidence,
        .window = scene->window,
        .watch = scene->watch,
        .disks = scene->disks,
        .log = scene->log,
    };
    return scene;
}

static void scene_free(Scene *scene)
{
    guest_window_free(scene->window);
    counter_watch_free(scene->watch);
    disk_history_free(scene->disks);
    g_ptr_array_unref(scene->evidence);
    g_ptr_array_unref(scene->log);
    g_free(scene);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Scene, scene_free)

static unsigned count(const char *text, const char *part)
{
    unsigned found = 0;

    for (const char *at = strstr(text, part); at; at = strstr(at + strlen(part), part))
        found++;
    return found;
}

static char *metrics(const ProbeResult *result)
{
    g_autoptr(GPtrArray) results = g_ptr_array_new();

    g_ptr_array_add(results, (gpointer)result);
    return prometheus_text(results);
}

/* ---- the page ---- */

START_TEST(a_guest_cannot_put_markup_into_the_page)
{
    g_autoptr(Scene) scene = scene_new(HOSTILE);

    add_sample(scene->watch, COUNTER_PHASE_BEFORE, HOSTILE, 1, 9000);
    add_sample(scene->watch, COUNTER_PHASE_BEFORE, HOSTILE, 5, 9100);
    add_disk_reading(scene->disks, DISK_PHASE_HOLD, HOSTILE, DISK_STATE_IN_USE);
    scene->result.failure = HOSTILE;
    g_autofree char *page = report_page(&scene->result);

    ck_assert_uint_eq(count(page, "<script"), 0);
    ck_assert_uint_eq(count(page, "<b "), 0);
    ck_assert_uint_gt(count(page, "&lt;script&gt;"), 8);
    ck_assert_uint_eq(count(page, "\033"), 0);
    ck_assert(g_utf8_validate(page, -1, NULL));
}
END_TEST

START_TEST(the_page_loads_nothing_and_runs_nothing)
{
    g_autoptr(Scene) scene = scene_new("/srv");
    g_autofree char *page = report_page(&scene->result);

    ck_assert_uint_eq(count(page, "default-src 'none'"), 1);
    ck_assert_uint_eq(count(page, "src="), 0);
    ck_assert_uint_eq(count(page, "href"), 0);
    ck_assert_uint_eq(count(page, "url("), 0);
    ck_assert_uint_eq(count(page, "@import"), 0);
    /* The name of SVG's namespace, which nobody fetches. */
    ck_assert_uint_eq(count(page, "http"), 2);
    ck_assert_uint_eq(count(page, "http-equiv") + count(page, "http://www.w3.org/2000/svg"), 2);
}
END_TEST

START_TEST(the_page_stays_small_whatever_the_guest_sends)
{
    g_autofree char *endless = g_strnfill(100000, '&');
    g_autoptr(Scene) scene = scene_new(endless);

    for (unsigned i = 0; i < GUEST_WINDOW_MAX_LIST; i++) {
        add_filesystem(scene->window, endless);
        g_autofree char *volume = g_strdup_printf("%u%s", i, endless);
        add_disk_reading(scene->disks, DISK_PHASE_HOLD, volume, DISK_STATE_IN_USE);
        g_ptr_array_add(scene->log, g_strdup(endless));
    }
    g_autofree char *page = report_page(&scene->result);

    ck_assert_uint_lt(strlen(page), 2 * 1024 * 1024);
    ck_assert_ptr_nonnull(strstr(page, "and 961 more"));
}
END_TEST

START_TEST(the_page_says_when_the_guest_may_be_frozen)
{
    g_autoptr(Scene) scene = scene_new("/srv");

    scene->result.judged = false;
    scene->result.unthawed = true;
    g_autofree char *page = report_page(&scene->result);

    ck_assert_ptr_nonnull(strstr(page, "NO VERDICT"));
    ck_assert_ptr_nonnull(strstr(page, "may still be frozen"));
    ck_assert_ptr_null(strstr(page, ">FROZEN"));
}
END_TEST

START_TEST(the_page_shows_what_the_disks_said_before_the_freeze_and_in_the_hold)
{
    g_autoptr(Scene) scene = scene_new("/srv");
    g_autofree char *without = report_page(&scene->result);

    add_disk_reading(scene->disks, DISK_PHASE_BEFORE, "vdb1", DISK_STATE_IN_USE);
    add_disk_reading(scene->disks, DISK_PHASE_HOLD, "vdb1", DISK_STATE_QUIET);
    g_ptr_array_add(scene->evidence,
                    evidence_new(EVIDENCE_DISK, EVIDENCE_FOR, g_strdup("went quiet"), NULL));
    g_autofree char *page = report_page(&scene->result);

    ck_assert_ptr_null(strstr(without, "Filesystems on the disks"));
    const char *table = strstr(page, "Filesystems on the disks");
    ck_assert_ptr_nonnull(table);
    const char *row = strstr(table, ">vdb1<");
    ck_assert_ptr_nonnull(row);
    const char *before = strstr(row, ">in use<");
    ck_assert_ptr_nonnull(before);
    ck_assert_ptr_nonnull(strstr(before, ">quiet<"));
    ck_assert_ptr_nonnull(strstr(page, ">disk<"));
    ck_assert_ptr_nonnull(strstr(page, ">went quiet<"));
}
END_TEST

/* ---- the timeline ---- */

static const TimelineSpan *span_of(const TimelineLane *lane, TimelineStage stage)
{
    for (unsigned i = 0; i < lane->spans->len; i++) {
        const TimelineSpan *span = &g_array_index(lane->spans, TimelineSpan, i);
        if (span->stage == stage)
            return span;
    }
    return NULL;
}

START_TEST(the_guests_moments_are_laid_on_the_hosts_clock)
{
    g_autoptr(Scene) scene = scene_new("/late");
    WindowFilesystem *late = g_ptr_array_index(scene->window->filesystems, 0);
    WindowFilesystem *early = add_filesystem(scene->window, "/early");

    /* A guest whose clock is a year off. */
    late->frozen_at_us = 1760000000000000;
    early->frozen_at_us = late->frozen_at_us - 4000;
    early->thawed_at_us = late->frozen_at_us + 2005 * 1000;
    g_autoptr(Timeline) timeline = timeline_new(scene->window, NULL, NULL);

    const TimelineLane *lane = g_ptr_array_index(timeline->filesystems, 2);
    ck_assert_str_eq(lane->name, "/early");
    ck_assert_int_eq(span_of(lane, TIMELINE_FREEZE)->from_us, 4000);
    ck_assert_int_eq(span_of(lane, TIMELINE_FREEZE)->to_us, 6000);
    ck_assert_int_eq(span_of(lane, TIMELINE_PRESYNC)->to_us, 4000);
    ck_assert_int_eq(span_of(lane, TIMELINE_HOLD)->to_us, 2014 * 1000);
    ck_assert_int_eq(span_of(lane, TIMELINE_THAW)->to_us, 2015 * 1000);
}
END_TEST

START_TEST(impossible_moments_of_a_guest_stay_within_what_the_host_saw)
{
    static const int64_t moments[] = {G_MININT64, -1, 1, 1760000000000000, G_MAXINT64};

    for (unsigned i = 0; i < G_N_ELEMENTS(moments) * G_N_ELEMENTS(moments); i++) {
        g_autoptr(Scene) scene = scene_new("/one");
        WindowFilesystem *one = g_ptr_array_index(scene->window->filesystems, 0);
        WindowFilesystem *two = add_filesystem(scene->window, "/two");
        one->frozen_at_us = moments[i % G_N_ELEMENTS(moments)];
        two->frozen_at_us = moments[i / G_N_ELEMENTS(moments)];
        two->thawed_at_us = one->frozen_at_us;
        two->freeze_ms = 1e300;
        two->thaw_ms = 1e300;
        two->canary->gap_end_at_us = two->frozen_at_us;
        g_autoptr(Timeline) timeline = timeline_new(scene->window, NULL, NULL);
        for (unsigned lane = 0; lane < timeline->filesystems->len; lane++) {
            const TimelineLane *its = g_ptr_array_index(timeline->filesystems, lane);
            for (unsigned s = 0; s < its->spans->len; s++) {
                const TimelineSpan *span = &g_array_index(its->spans, TimelineSpan, s);
                ck_assert_int_ge(span->from_us, 0);
                ck_assert_int_le(span->to_us, 2020 * 1000);
            }
        }
    }
}
END_TEST

START_TEST(what_was_written_around_the_reply_is_not_drawn_as_written_in_the_hold)
{
    g_autoptr(Scene) scene = scene_new("/srv");
    g_autoptr(GString) page = g_string_new(NULL);

    add_sample(scene->watch, COUNTER_PHASE_BEFORE, "vda", 1, 9900);
    add_sample(scene->watch, COUNTER_PHASE_FREEZING, "vda", 9, 10030);
    add_sample(scene->watch, COUNTER_PHASE_HOLD, "vda", 9, 10130);
    g_autoptr(Timeline) timeline = timeline_new(scene->window, scene->watch, NULL);
    draw_timeline(page, timeline);

    /* Once as a bar, once in the list of what the colours mean. */
    ck_assert_uint_eq(count(page->str, "class=\"between\""), 2);
    ck_assert_uint_eq(count(page->str, "class=\"bad\""), 1);
}
END_TEST

START_TEST(a_watch_without_a_freeze_has_a_timeline_of_its_devices)
{
    g_autoptr(CounterWatch) watch = counter_watch_new();

    ck_assert_ptr_null(timeline_new(NULL, watch, NULL));
    add_sample(watch, COUNTER_PHASE_BEFORE, "vda", 1, 500);
    add_sample(watch, COUNTER_PHASE_BEFORE, "vda", 2, 600);
    g_autoptr(Timeline) timeline = timeline_new(NULL, watch, NULL);

    ck_assert(!timeline->has_window);
    ck_assert_int_eq(timeline->begin_us, 0);
    ck_assert_int_eq(timeline->end_us, 100 * 1000);
}
END_TEST

START_TEST(a_long_hold_is_told_more_coarsely_and_loses_no_write)
{
    g_autoptr(WriteSeries) series = write_series_new();
    uint64_t in_phase[4] = {0};
    uint64_t writes = 0;

    for (int64_t i = 0; i < 36000; i++) {
        unsigned phase = i < 10 ? 0 : i == 10 ? 1 : i < 35990 ? 2 : 3;
        WriteInterval interval = {i * 100, (i + 1) * 100, 1, phase};
        write_series_add(series, &interval);
        ck_assert_uint_le(series->intervals->len, WRITE_SERIES_MAX_INTERVALS);
    }
    for (unsigned i = 0; i < series->intervals->len; i++) {
        const WriteInterval *interval = &g_array_index(series->intervals, WriteInterval, i);
        ck_assert_int_eq(interval->from_us, (int64_t)writes * 100);
        writes += interval->writes;
        ck_assert_int_eq(interval->to_us, (int64_t)writes * 100);
        in_phase[interval->phase] += interval->writes;
    }
    ck_assert_uint_eq(in_phase[0], 10);
    ck_assert_uint_eq(in_phase[1], 1);
    ck_assert_uint_eq(in_phase[2], 35979);
    ck_assert_uint_eq(in_phase[3], 10);
}
END_TEST

/* ---- metrics ---- */

START_TEST(a_guest_cannot_break_a_line_of_the_metrics)
{
    g_autoptr(Scene) scene = scene_new(HOSTILE);
    g_autofree char *text = metrics(&scene->result);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; **line != '\0'; line++)
        ck_assert(g_str_has_prefix(*line, "# ") || g_str_has_prefix(*line, "quiesce_probe_"));
    ck_assert_ptr_nonnull(strstr(text, "guest=\"</title><script>alert(1)</script>\\\"'><b "
                                       "\\\\x0a\\\\x1b[2J\\\\xff|\\\\\""));
}
END_TEST

START_TEST(a_series_is_told_once_even_if_the_guest_names_it_twice)
{
    g_autoptr(Scene) scene = scene_new("/srv");

    add_filesystem(scene->window, "/srv");
    g_autofree char *text = metrics(&scene->result);

    ck_assert_uint_eq(count(text, "quiesce_probe_filesystem_freeze_duration_seconds{"), 1);
    ck_assert_ptr_nonnull(strstr(text, "verdict=\"FROZEN\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "verdict=\"UNPROVEN\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "quiesce_probe_hold_duration_seconds{guest=\"/srv\","
                                       "verb=\"verify\"} 2\n"));
}
END_TEST

/* ---- the line ---- */

static const struct {
    bool judged;
    bool unthawed;
    Verdict verdict;
    NagiosStatus status;
    const char *begin;
} lines[] = {
    {true, false, VERDICT_FROZEN, NAGIOS_OK, "QUIESCE OK - FROZEN, filesystem-consistent | "},
    {true, false, VERDICT_UNPROVEN, NAGIOS_WARNING, "QUIESCE WARNING - UNPROVEN, "},
    {true, false, VERDICT_NOT_FROZEN, NAGIOS_CRITICAL, "QUIESCE CRITICAL - NOT FROZEN, "},
    {true, true, VERDICT_FROZEN, NAGIOS_CRITICAL, "QUIESCE CRITICAL - the guest may still be"},
    {false, false, VERDICT_FROZEN, NAGIOS_UNKNOWN, "QUIESCE UNKNOWN - no verdict"},
};

START_TEST(each_end_has_its_line_and_status)
{
    g_autoptr(Scene) scene = scene_new("/srv");

    scene->result.judged = lines[_i].judged;
    scene->result.unthawed = lines[_i].unthawed;
    scene->result.verdict = lines[_i].verdict;
    g_autofree char *line = nagios_line(&scene->result);

    ck_assert_int_eq(nagios_status(&scene->result), lines[_i].status);
    ck_assert_msg(g_str_has_prefix(line, lines[_i].begin), "%s", line);
    ck_assert(g_str_has_suffix(line, " | hold=2.000000s;;;0 freeze=0.010000s;;;0 "
                                     "thaw=0.010000s;;;0 filesystems=1;;;0"));
}
END_TEST

START_TEST(a_guest_cannot_add_lines_or_performance_data)
{
    g_autoptr(Scene) scene = scene_new(HOSTILE);

    g_ptr_array_add(scene->evidence,
                    evidence_new(EVIDENCE_CANARY, EVIDENCE_AGAINST, g_strdup(HOSTILE), NULL));
    scene->result.verdict = VERDICT_NOT_FROZEN;
    g_autofree char *line = nagios_line(&scene->result);

    ck_assert_uint_eq(count(line, "|"), 1);
    ck_assert_ptr_null(strchr(line, '\n'));
    ck_assert_ptr_nonnull(strstr(line, "; canary: </title>"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, a_guest_cannot_put_markup_into_the_page);
    tcase_add_test(tests, the_page_loads_nothing_and_runs_nothing);
    tcase_add_test(tests, the_page_stays_small_whatever_the_guest_sends);
    tcase_add_test(tests, the_page_says_when_the_guest_may_be_frozen);
    tcase_add_test(tests, the_page_shows_what_the_disks_said_before_the_freeze_and_in_the_hold);
    tcase_add_test(tests, the_guests_moments_are_laid_on_the_hosts_clock);
    tcase_add_test(tests, impossible_moments_of_a_guest_stay_within_what_the_host_saw);
    tcase_add_test(tests, what_was_written_around_the_reply_is_not_drawn_as_written_in_the_hold);
    tcase_add_test(tests, a_watch_without_a_freeze_has_a_timeline_of_its_devices);
    tcase_add_test(tests, a_long_hold_is_told_more_coarsely_and_loses_no_write);
    tcase_add_test(tests, a_guest_cannot_break_a_line_of_the_metrics);
    tcase_add_test(tests, a_series_is_told_once_even_if_the_guest_names_it_twice);
    tcase_add_loop_test(tests, each_end_has_its_line_and_status, 0, G_N_ELEMENTS(lines));
    tcase_add_test(tests, a_guest_cannot_add_lines_or_performance_data);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
