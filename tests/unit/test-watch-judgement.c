/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-clock.h"
#include "prober/observed-freeze.h"
#include "prober/status-poll.h"
#include "prober/watch-judgement.h"

#include <check.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US (100 * 1000)
#define OFFSET_US INT64_C(1795227890000000) /* of the guest's clock */

/* One letter per sample: '.' stood still, 'w' wrote since the last sample. */
#define BUSY10 "wwwwwwwwww"
#define IDLE10 ".........."
#define BUSY_ALL BUSY10 BUSY10 BUSY10 BUSY10
#define PAUSED BUSY10 IDLE10 IDLE10 BUSY10 /* from 1.0 to 3.0 s */
#define IDLE_ALL IDLE10 IDLE10 IDLE10 IDLE10

static ActivityLog *log_with(int64_t tick_us, const char *const *stories)
{
    ActivityLog *log = activity_log_new();
    uint64_t writes[8] = {0};

    for (unsigned i = 0; i <= strlen(stories[0]); i++) {
        g_autoptr(GArray) sample = counter_sample_new();
        for (unsigned d = 0; stories[d]; d++) {
            g_autofree char *name = g_strdup_printf("disk%u", d);
            writes[d] += i > 0 && stories[d][i - 1] == 'w' ? 2 : 0;
            counter_sample_add(sample, name, writes[d], writes[d] * 4096);
        }
        ck_assert(activity_log_add(log, i * tick_us, i * tick_us + 1000, sample));
    }
    return log;
}

#define LOG(...) log_with(TICK_US, (const char *const[]){__VA_ARGS__, NULL})
/* The same with ten times as many samples per second. */
#define FINE_LOG(...) log_with(TICK_US / 10, (const char *const[]){__VA_ARGS__, NULL})

/* The guest of these tests: as many disks as filesystems. */
static GuestFilesystems *guest_of(unsigned filesystems)
{
    g_autoptr(GString) text = g_string_new("[");

    for (unsigned i = 0; i < filesystems; i++)
        g_string_append_printf(text,
                               "%s{\"mountpoint\":\"/srv/%u\",\"name\":\"vd%u\",\"type\":\"ext4\","
                               "\"disk\":[{\"bus-type\":\"virtio\",\"bus\":0,\"target\":0,"
                               "\"unit\":0,\"pci-controller\":{\"domain\":0,\"bus\":0,"
                               "\"slot\":%u,\"function\":0}}]}",
                               i > 0 ? "," : "", i, i, i);
    g_string_append(text, "]");
    json_object *reply = json_tokener_parse(text->str);
    GuestFilesystems *guest = guest_filesystems_new(reply);
    json_object_put(reply);
    return guest;
}

/* quiesce-history's reply with one window of the filesystems below /srv. */
static json_object *history(unsigned filesystems, int64_t from_us, double held_ms, const char *more)
{
    g_autoptr(GString) text = g_string_new(NULL);
    int64_t at_us = OFFSET_US + from_us;

    g_string_append_printf(
        text,
        "{\"windows\":[{\"command\":\"guest-fsfreeze-freeze\",\"began-at-us\":%" G_GINT64_FORMAT
        ",\"frozen-at-us\":%" G_GINT64_FORMAT ",\"thawed-at-us\":%" G_GINT64_FORMAT
        ",\"held-ms\":%f,\"count\":%u,%s,\"freeze-hooks\":[],\"thaw-hooks\":[],\"filesystems\":[",
        at_us - 1000, at_us, at_us + (int64_t)(held_ms * 1000) + 500, held_ms, filesystems, more);
    for (unsigned i = 0; i < filesystems; i++)
        g_string_append_printf(text,
                               "%s{\"mountpoint\":\"/srv/%u\",\"type\":\"ext4\","
                               "\"device-number\":\"254:%u\",\"outcome\":\"thawed\"}",
                               i > 0 ? "," : "", i, i);
    g_string_append(text, "]}]}");
    json_object *reply = json_tokener_parse(text->str);
    ck_assert_ptr_nonnull(reply);
    return reply;
}

typedef struct {
    WatchWord word;
    json_object *history; /* taken over; NULL: none */
    int64_t slack_us;
    unsigned filesystems;  /* of the guest */
    ActivityLog *activity; /* taken over */
    const char *lost;
} Scene;

static WatchJudgement *judge(Scene scene)
{
    g_autoptr(GuestFilesystems) guest = guest_of(scene.filesystems);
    g_autoptr(GPtrArray) freezes = observed_freezes_new(NULL, scene.history, 0);
    GuestClock clock = {true, OFFSET_US, scene.slack_us + 2000};
    WatchFindings findings = {
        .word = scene.word,
        .word_problem = "nobody answers",
        .freezes = freezes,
        .guest = guest,
        .activity = scene.activity,
        .activity_unavailable = "no QMP socket given",
        .activity_lost = scene.lost,
        .watched_us = 4 * G_USEC_PER_SEC,
    };

    for (unsigned i = 0; i < freezes->len; i++)
        observed_freeze_place(g_ptr_array_index(freezes, i), &clock);
    WatchJudgement *judgement = watch_judge(&findings);
    g_clear_pointer(&scene.activity, activity_log_free);
    json_object_put(scene.history);
    return judgement;
}

static void assert_verdict(const WatchJudgement *judgement, Verdict verdict, EvidenceStance stance,
                           const char *mention)
{
    const Evidence *counters = g_ptr_array_index(judgement->evidence, 1);

    ck_assert_msg(judgement->verdict == verdict, "%s", verdict_name(judgement->verdict));
    ck_assert_msg(counters->stance == stance && strstr(counters->summary, mention), "%s: %s",
                  evidence_stance_name(counters->stance), counters->summary);
}

#define INTACT "\"intact\":true"

START_TEST(a_freeze_that_the_history_tells_of_and_the_disks_kept_is_frozen)
{
    g_autoptr(WatchJudgement) judgement = judge((Scene){
        WATCH_WORD_HISTORY, history(2, 1100000, 1800, INTACT), 0, 2, LOG(PAUSED, PAUSED), NULL});

    assert_verdict(judgement, VERDICT_FROZEN, EVIDENCE_FOR, "disk0, disk1 stood still");
    ck_assert(!judgement->nobody_froze);
    ck_assert(judgement->consistency == CONSISTENCY_FILESYSTEM);
}
END_TEST

START_TEST(a_freeze_during_which_a_disk_wrote_is_not_frozen)
{
    g_autoptr(WatchJudgement) judgement = judge((Scene){
        WATCH_WORD_HISTORY, history(2, 1100000, 1800, INTACT), 0, 2, LOG(PAUSED, BUSY_ALL), NULL});

    assert_verdict(judgement, VERDICT_NOT_FROZEN, EVIDENCE_AGAINST, "disk1");
    ck_assert(!judgement->nobody_froze);
}
END_TEST

START_TEST(a_freeze_that_left_a_filesystem_out_is_unproven)
{
    g_autoptr(WatchJudgement) judgement = judge((Scene){
        WATCH_WORD_HISTORY, history(1, 1100000, 1800, INTACT), 0, 2, LOG(PAUSED, PAUSED), NULL});
    const Evidence *claim = g_ptr_array_index(judgement->evidence, 0);

    ck_assert(judgement->verdict == VERDICT_UNPROVEN);
    ck_assert_msg(strstr(claim->summary, "left out 1 filesystems: /srv/1") != NULL, "%s",
                  claim->summary);
}
END_TEST

START_TEST(what_the_agent_left_out_for_a_reason_does_not_count)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_HISTORY,
                      history(1, 1100000, 1800,
                              INTACT ",\"skipped\":[{\"mountpoint\":\"/srv/1\",\"type\":\"ext4\","
                                     "\"reason\":\"mounted read-only\"}]"),
                      0, 2, LOG(PAUSED), NULL});

    assert_verdict(judgement, VERDICT_FROZEN, EVIDENCE_FOR, "disk0 stood still");
}
END_TEST

START_TEST(a_broken_freeze_is_not_frozen)
{
    g_autoptr(WatchJudgement) judgement = judge((Scene){
        WATCH_WORD_HISTORY,
        history(2, 1100000, 1800, "\"intact\":false,\"broken-reason\":\"somebody else thawed\""), 0,
        2, LOG(PAUSED, PAUSED), NULL});

    ck_assert(judgement->verdict == VERDICT_NOT_FROZEN);
    ck_assert(judgement->consistency == CONSISTENCY_CRASH);
}
END_TEST

START_TEST(a_failed_freeze_is_not_frozen)
{
    g_autoptr(WatchJudgement) judgement = judge(
        (Scene){WATCH_WORD_HISTORY,
                history(0, 1100000, 0, "\"intact\":false,\"error\":\"cannot freeze /srv/0: EIO\""),
                0, 1, LOG(BUSY_ALL), NULL});
    const Evidence *claim = g_ptr_array_index(judgement->evidence, 0);

    ck_assert(judgement->verdict == VERDICT_NOT_FROZEN);
    ck_assert(judgement->nobody_froze);
    ck_assert(strstr(claim->summary, "cannot freeze /srv/0: EIO") != NULL);
}
END_TEST

START_TEST(clocks_too_far_apart_leave_the_counters_silent)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_HISTORY, history(1, 1100000, 1800, INTACT), 2 * G_USEC_PER_SEC, 1,
                      LOG(BUSY_ALL), NULL});

    assert_verdict(judgement, VERDICT_UNPROVEN, EVIDENCE_SILENT, "clock");
}
END_TEST

START_TEST(the_slack_of_the_clocks_is_no_part_of_the_hold)
{
    /* The disk wrote in the first and the last 300 ms of what the guest calls its hold. */
    g_autoptr(WatchJudgement) judgement = judge((Scene){
        WATCH_WORD_HISTORY, history(1, 750000, 2500, INTACT), 300 * 1000, 1, LOG(PAUSED), NULL});

    assert_verdict(judgement, VERDICT_FROZEN, EVIDENCE_FOR, "stood still");
}
END_TEST

START_TEST(a_hold_shorter_than_a_few_samples_proves_nothing)
{
    g_autoptr(WatchJudgement) judgement = judge(
        (Scene){WATCH_WORD_HISTORY, history(1, 1120000, 50, INTACT), 0, 1, LOG(BUSY_ALL), NULL});

    assert_verdict(judgement, VERDICT_UNPROVEN, EVIDENCE_SILENT, "too few samples");
}
END_TEST

START_TEST(a_history_without_a_freeze_says_that_nobody_froze)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_HISTORY, NULL, 0, 1, FINE_LOG(BUSY_ALL), NULL});
    g_autoptr(WatchJudgement) idle =
        judge((Scene){WATCH_WORD_HISTORY, NULL, 0, 1, LOG(IDLE_ALL), NULL});

    assert_verdict(judgement, VERDICT_NOT_FROZEN, EVIDENCE_AGAINST, "never stopped writing");
    ck_assert(judgement->nobody_froze);
    assert_verdict(idle, VERDICT_NOT_FROZEN, EVIDENCE_SILENT, "too seldom");
    ck_assert(idle->nobody_froze);
}
END_TEST

START_TEST(a_pause_that_the_history_knows_nothing_of_is_no_freeze)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_HISTORY, NULL, 0, 1, LOG(PAUSED), NULL});

    assert_verdict(judgement, VERDICT_NOT_FROZEN, EVIDENCE_SILENT, "not by the agent's doing");
    ck_assert_uint_eq(judgement->stills->len, 1);
}
END_TEST

START_TEST(without_the_agent_a_pause_of_all_disks_is_no_proof)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_NONE, NULL, 0, 2, LOG(PAUSED, PAUSED), NULL});
    const ActivityStill *still = &g_array_index(judgement->stills, ActivityStill, 0);

    assert_verdict(judgement, VERDICT_UNPROVEN, EVIDENCE_FOR, "stood still for 2.00 s");
    ck_assert(!judgement->nobody_froze);
    ck_assert_uint_eq(judgement->stills->len, 1);
    ck_assert_int_eq(still->from_us, 1001000);
    ck_assert_int_eq(still->to_us, 3000000);
}
END_TEST

START_TEST(without_the_agent_a_disk_that_never_paused_was_not_frozen)
{
    g_autoptr(WatchJudgement) all =
        judge((Scene){WATCH_WORD_NONE, NULL, 0, 1, FINE_LOG(BUSY_ALL), NULL});
    g_autoptr(WatchJudgement) one_of_two =
        judge((Scene){WATCH_WORD_NONE, NULL, 0, 2, FINE_LOG(PAUSED, BUSY_ALL), NULL});

    g_autoptr(WatchJudgement) coarse =
        judge((Scene){WATCH_WORD_NONE, NULL, 0, 1, LOG(BUSY_ALL), NULL});

    assert_verdict(coarse, VERDICT_UNPROVEN, EVIDENCE_SILENT, "0.20 s, which is enough");
    ck_assert(!coarse->nobody_froze);
    assert_verdict(all, VERDICT_NOT_FROZEN, EVIDENCE_AGAINST, "disk0 never stopped");
    ck_assert(all->nobody_froze);
    assert_verdict(one_of_two, VERDICT_NOT_FROZEN, EVIDENCE_AGAINST, "disk1 never stopped");
}
END_TEST

START_TEST(a_disk_without_a_filesystem_may_write_through_a_freeze)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_NONE, NULL, 0, 1, FINE_LOG(IDLE_ALL, BUSY_ALL), NULL});

    ck_assert(judgement->verdict == VERDICT_UNPROVEN);
}
END_TEST

START_TEST(lost_counters_prove_no_freeze)
{
    g_autoptr(WatchJudgement) judgement =
        judge((Scene){WATCH_WORD_HISTORY, history(1, 1100000, 1800, INTACT), 0, 1, LOG(PAUSED),
                      "QEMU closed the connection"});
    g_autoptr(WatchJudgement) none =
        judge((Scene){WATCH_WORD_HISTORY, history(1, 1100000, 1800, INTACT), 0, 1, NULL, NULL});

    assert_verdict(judgement, VERDICT_UNPROVEN, EVIDENCE_SILENT, "lost on the way");
    assert_verdict(none, VERDICT_UNPROVEN, EVIDENCE_SILENT, "no QMP socket given");
}
END_TEST

START_TEST(only_windows_that_are_new_count)
{
    json_object *before = history(1, 1100000, 1800, INTACT);
    json_object *after = history(1, 1100000, 1800, INTACT);
    json_object *later = history(1, 2100000, 1800, INTACT);
    g_autoptr(GPtrArray) same = observed_freezes_new(before, after, 0);
    g_autoptr(GPtrArray) other = observed_freezes_new(before, later, 0);
    g_autoptr(GPtrArray) since = observed_freezes_new(NULL, later, OFFSET_US + 3000000);

    ck_assert_uint_eq(same->len, 0);
    ck_assert_uint_eq(other->len, 1);
    ck_assert_uint_eq(since->len, 0);
    json_object_put(before);
    json_object_put(after);
    json_object_put(later);
}
END_TEST

START_TEST(answers_bound_a_freeze_from_within_and_from_without)
{
    static const StatusAnswer told[] = {
        {0, 10, false}, {100, 110, true}, {200, 210, true}, {300, 310, false}, {400, 410, true}};
    g_autoptr(GArray) answers = g_array_new(FALSE, FALSE, sizeof(StatusAnswer));
    g_array_append_vals(answers, told, G_N_ELEMENTS(told));
    g_autoptr(GPtrArray) freezes = observed_freezes_from_answers(answers);

    ck_assert_uint_eq(freezes->len, 2);
    const ObservedFreeze *first = g_ptr_array_index(freezes, 0);
    const ObservedFreeze *last = g_ptr_array_index(freezes, 1);
    ck_assert_int_eq(first->when.freeze_us, 0);
    ck_assert_int_eq(first->when.frozen_us, 110);
    ck_assert_int_eq(first->when.thaw_us, 200);
    ck_assert_int_eq(first->when.thawed_us, 310);
    ck_assert_int_eq(last->when.thawed_us, G_MAXINT64);
}
END_TEST

START_TEST(a_stepped_clock_widens_the_slack)
{
    GuestClock unknown = {.known = false};
    GuestClock before = {true, 1000000, 100};
    GuestClock after = {true, 3000000, 50};
    GuestClock between = guest_clock_between(&before, &after);

    ck_assert(between.known && between.offset_us == 2000000 && between.slack_us >= 1000100);
    ck_assert_int_eq(guest_clock_between(&unknown, &after).offset_us, 3000000);
    ck_assert_int_eq(guest_clock_between(&before, &unknown).offset_us, 1000000);
}
END_TEST

START_TEST(a_log_that_is_full_takes_no_more)
{
    g_autoptr(ActivityLog) log = activity_log_new();
    g_autoptr(GArray) sample = counter_sample_new();
    unsigned taken = 0;

    for (unsigned i = 0; i < COUNTER_WATCH_MAX_DEVICES; i++) {
        g_autofree char *name = g_strdup_printf("disk%u", i);
        counter_sample_add(sample, name, 1, 1);
    }
    while (activity_log_add(log, taken, taken, sample))
        taken++;
    ck_assert_uint_eq(taken, ACTIVITY_LOG_MAX_CELLS / COUNTER_WATCH_MAX_DEVICES);
    ck_assert_uint_eq(activity_log_samples(log), taken);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch-judgement");
    TCase *tests = tcase_create("all");

    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, a_freeze_that_the_history_tells_of_and_the_disks_kept_is_frozen);
    tcase_add_test(tests, a_freeze_during_which_a_disk_wrote_is_not_frozen);
    tcase_add_test(tests, a_freeze_that_left_a_filesystem_out_is_unproven);
    tcase_add_test(tests, what_the_agent_left_out_for_a_reason_does_not_count);
    tcase_add_test(tests, a_broken_freeze_is_not_frozen);
    tcase_add_test(tests, a_failed_freeze_is_not_frozen);
    tcase_add_test(tests, clocks_too_far_apart_leave_the_counters_silent);
    tcase_add_test(tests, the_slack_of_the_clocks_is_no_part_of_the_hold);
    tcase_add_test(tests, a_hold_shorter_than_a_few_samples_proves_nothing);
    tcase_add_test(tests, a_history_without_a_freeze_says_that_nobody_froze);
    tcase_add_test(tests, a_pause_that_the_history_knows_nothing_of_is_no_freeze);
    tcase_add_test(tests, without_the_agent_a_pause_of_all_disks_is_no_proof);
    tcase_add_test(tests, without_the_agent_a_disk_that_never_paused_was_not_frozen);
    tcase_add_test(tests, a_disk_without_a_filesystem_may_write_through_a_freeze);
    tcase_add_test(tests, lost_counters_prove_no_freeze);
    tcase_add_test(tests, only_windows_that_are_new_count);
    tcase_add_test(tests, answers_bound_a_freeze_from_within_and_from_without);
    tcase_add_test(tests, a_stepped_clock_widens_the_slack);
    tcase_add_test(tests, a_log_that_is_full_takes_no_more);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
