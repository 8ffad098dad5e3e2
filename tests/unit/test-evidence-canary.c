/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/canary-stamps.h"
#include "prober/evidence-canary.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_MS 2000.0

static CanaryRecord *record(int64_t before, int64_t during, int64_t after, double gap_ms)
{
    CanaryRecord *new = canary_record_new("/srv");

    new->writes_before = before;
    new->writes_during = during;
    new->writes_after = after;
    new->longest_gap_ms = gap_ms;
    return new;
}

static Evidence *judge_records(CanaryRecord *const *records)
{
    g_autoptr(GPtrArray) array = g_ptr_array_new_with_free_func((GDestroyNotify)canary_record_free);
    CanaryFindings findings = {.records = array, .hold_ms = HOLD_MS};

    for (; *records; records++)
        g_ptr_array_add(array, *records);
    return evidence_canary_judge(&findings);
}

#define JUDGE(...) judge_records((CanaryRecord *const[]){__VA_ARGS__, NULL})

static void assert_stance(Evidence *evidence, EvidenceStance stance, const char *mention)
{
    g_autoptr(Evidence) owned = evidence;

    ck_assert_msg(owned->stance == stance, "%s: %s", evidence_stance_name(owned->stance),
                  owned->summary);
    ck_assert_msg(strstr(owned->summary, mention) != NULL, "%s", owned->summary);
}

START_TEST(writers_that_all_paused_for_the_hold_are_for)
{
    assert_stance(JUDGE(record(9, 0, 3, 2010)), EVIDENCE_FOR, "2010 ms");
    assert_stance(JUDGE(record(9, 0, 3, 2010), record(1, 0, 1, 1995)), EVIDENCE_FOR, "1995 ms");
}
END_TEST

START_TEST(one_write_during_the_hold_is_against_whatever_the_others_say)
{
    assert_stance(JUDGE(record(9, 1, 3, 1200)), EVIDENCE_AGAINST, "1 writes to /srv");
    assert_stance(JUDGE(record(9, 0, 3, 2010), record(0, 0, 0, 0), record(9, 30, 3, 100)),
                  EVIDENCE_AGAINST, "30 writes");
}
END_TEST

START_TEST(a_writer_that_did_not_write_on_both_sides_proves_nothing)
{
    assert_stance(JUDGE(record(0, 0, 3, 2010)), EVIDENCE_SILENT, "0 writes before");
    assert_stance(JUDGE(record(3, 0, 0, 2010)), EVIDENCE_SILENT, "0 after");
}
END_TEST

START_TEST(a_pause_shorter_than_the_hold_proves_nothing)
{
    assert_stance(JUDGE(record(3, 0, 3, 1500)), EVIDENCE_SILENT, "1500 ms");
}
END_TEST

START_TEST(one_silent_writer_silences_the_others)
{
    CanaryRecord *failed = record(0, 0, 0, 0);

    failed->error_text = g_strdup("no space left");
    assert_stance(JUDGE(record(9, 0, 3, 2010), failed), EVIDENCE_SILENT, "no space left");
}
END_TEST

START_TEST(a_read_only_filesystem_silences_nobody_and_speaks_for_nobody)
{
    CanaryRecord *beside = record(0, 0, 0, 0);
    CanaryRecord *alone = record(0, 0, 0, 0);

    beside->read_only = true;
    alone->read_only = true;
    assert_stance(JUDGE(record(9, 0, 3, 2010), beside), EVIDENCE_FOR, "2010 ms");
    assert_stance(JUDGE(alone), EVIDENCE_SILENT, "read-only");
}
END_TEST

START_TEST(without_writers_the_reason_and_the_remedy_are_named)
{
    CanaryFindings findings = {.unavailable = "switched off", .remedy = "leave out --no-canary"};
    g_autoptr(Evidence) evidence = evidence_canary_judge(&findings);

    ck_assert_int_eq(evidence->stance, EVIDENCE_SILENT);
    ck_assert_str_eq(evidence->summary, "switched off");
    ck_assert_str_eq(evidence->remedy, "leave out --no-canary");
}
END_TEST

/* ---- what a writer in the guest prints ---- */

/* A write every 60 ms from start to end, each taking 10 ms. */
static void append_writes(GString *output, double start_s, double end_s)
{
    for (double at = start_s; at < end_s; at += 0.06)
        g_string_append_printf(output, "%.2f %.2f\n", at, at + 0.01);
}

/* The freeze was asked for at 101 s of the guest's uptime, the thaw answered at 103.1 s. */
static const CanaryMoments moments = {.before_s = 101.0, .after_s = 103.1, .hold_s = 2.0};

static CanaryRecord *read_output(const char *output)
{
    return canary_stamps_read("/srv", output, &moments);
}

START_TEST(a_writer_that_was_blocked_for_the_hold_is_for)
{
    g_autoptr(GString) output = g_string_new(NULL);

    append_writes(output, 100, 101.05);
    g_string_append(output, "101.07 103.09\n");
    append_writes(output, 103.15, 104);
    CanaryRecord *stamps = read_output(output->str);
    ck_assert_int_gt(stamps->writes_before, 10);
    ck_assert_int_eq(stamps->writes_during, 0);
    ck_assert_int_gt(stamps->writes_after, 10);
    assert_stance(JUDGE(stamps), EVIDENCE_FOR, "the filesystem");
}
END_TEST

START_TEST(a_writer_that_went_on_is_against)
{
    g_autoptr(GString) output = g_string_new(NULL);

    append_writes(output, 100, 104);
    CanaryRecord *stamps = read_output(output->str);
    ck_assert_int_ge(stamps->writes_during, 20);
    assert_stance(JUDGE(stamps), EVIDENCE_AGAINST, "/srv");
}
END_TEST

START_TEST(a_writer_that_went_on_after_half_the_hold_is_against)
{
    g_autoptr(GString) output = g_string_new(NULL);

    append_writes(output, 100, 101.05);
    append_writes(output, 102.0, 104);
    assert_stance(JUDGE(read_output(output->str)), EVIDENCE_AGAINST, "/srv");
}
END_TEST

START_TEST(a_pause_outside_the_window_is_no_freeze)
{
    g_autoptr(GString) output = g_string_new(NULL);

    append_writes(output, 95, 97);
    append_writes(output, 100, 104);
    append_writes(output, 107, 108);
    assert_stance(JUDGE(read_output(output->str)), EVIDENCE_AGAINST, "/srv");
}
END_TEST

START_TEST(a_write_stamped_late_is_not_held_against_the_freeze)
{
    g_autoptr(GString) output = g_string_new(NULL);

    append_writes(output, 100, 101.0);
    /* Completed before the freeze, its stamp taken 150 ms into the hold: it took 200 ms. */
    g_string_append(output, "101.02 101.22\n");
    g_string_append(output, "101.24 103.09\n");
    append_writes(output, 103.15, 104);
    assert_stance(JUDGE(read_output(output->str)), EVIDENCE_FOR, "pause");
}
END_TEST

START_TEST(a_writer_that_ended_during_the_hold_proves_nothing)
{
    g_autoptr(GString) output = g_string_new(NULL);

    append_writes(output, 100, 102);
    CanaryRecord *stamps = read_output(output->str);
    assert_stance(JUDGE(stamps), EVIDENCE_SILENT, "0 after");
}
END_TEST

START_TEST(a_writer_that_began_after_the_freeze_proves_nothing)
{
    g_autoptr(GString) output = g_string_new("101.07 103.09\n");

    append_writes(output, 103.15, 104);
    assert_stance(JUDGE(read_output(output->str)), EVIDENCE_SILENT, "0 writes before");
}
END_TEST

static const char *const nonsense[] = {
    "",
    "\n",
    "read-only\n",
    "1 2\n",
    "x y\nz\n",
    "nan nan\ninf inf\n",
    "1e999 2e999\n5 5\n",
    "100 100.1 junk\n103 103.1x\n",
};

START_TEST(output_that_makes_no_sense_proves_nothing)
{
    assert_stance(JUDGE(read_output(nonsense[_i])), EVIDENCE_SILENT, "wrote nothing");
}
END_TEST

START_TEST(times_that_run_backwards_prove_nothing)
{
    assert_stance(JUDGE(read_output("100 100\n100.5 100.4\n103.5 103.5\n104 104\n")),
                  EVIDENCE_SILENT, "do not rise");
    assert_stance(JUDGE(read_output("104 104\n100 100\n102 102\n101 103.2\n105 105\n")),
                  EVIDENCE_SILENT, "do not rise");
    assert_stance(JUDGE(read_output("-5 -5\n100 100\n103.2 103.2\n")), EVIDENCE_SILENT,
                  "do not rise");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence-canary");
    TCase *tcase = tcase_create("evidence-canary");

    tcase_add_test(tcase, writers_that_all_paused_for_the_hold_are_for);
    tcase_add_test(tcase, one_write_during_the_hold_is_against_whatever_the_others_say);
    tcase_add_test(tcase, a_writer_that_did_not_write_on_both_sides_proves_nothing);
    tcase_add_test(tcase, a_pause_shorter_than_the_hold_proves_nothing);
    tcase_add_test(tcase, one_silent_writer_silences_the_others);
    tcase_add_test(tcase, a_read_only_filesystem_silences_nobody_and_speaks_for_nobody);
    tcase_add_test(tcase, without_writers_the_reason_and_the_remedy_are_named);
    tcase_add_test(tcase, a_writer_that_was_blocked_for_the_hold_is_for);
    tcase_add_test(tcase, a_writer_that_went_on_is_against);
    tcase_add_test(tcase, a_writer_that_went_on_after_half_the_hold_is_against);
    tcase_add_test(tcase, a_pause_outside_the_window_is_no_freeze);
    tcase_add_test(tcase, a_write_stamped_late_is_not_held_against_the_freeze);
    tcase_add_test(tcase, a_writer_that_ended_during_the_hold_proves_nothing);
    tcase_add_test(tcase, a_writer_that_began_after_the_freeze_proves_nothing);
    tcase_add_loop_test(tcase, output_that_makes_no_sense_proves_nothing, 0,
                        G_N_ELEMENTS(nonsense));
    tcase_add_test(tcase, times_that_run_backwards_prove_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
