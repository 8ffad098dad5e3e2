/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/processors.h"

#include <check.h>
#include <stdlib.h>

/* /proc/stat, as proc(5) has it. */
#define BEFORE "cpu  21 32 43 54 65 76 87 98 10 11\n"
#define AFTER "intr 114930548 113199788 3 0\nctxt 1990473\nbtime 1062191376\nprocesses 2915\n"

static const ProcessorTimes *at(const GArray *all, unsigned index)
{
    ck_assert_uint_lt(index, all->len);
    return &g_array_index(all, ProcessorTimes, index);
}

START_TEST(each_processor_has_its_times_and_their_sum_is_none)
{
    g_autoptr(GArray) all = processor_times_parse(
        BEFORE "cpu0 1 2 3 4 5 6 7 8 9 10\ncpu11 11 12 13 14 15 16 17 18 19 20\n" AFTER, 100);

    ck_assert_uint_eq(all->len, 2);
    ck_assert_int_eq(at(all, 0)->id, 0);
    ck_assert_int_eq(at(all, 1)->id, 11);
    for (int i = 0; i < PROCESSOR_TIMES; i++) {
        ck_assert_int_eq(at(all, 0)->times_ms[i], (i + 1) * 10);
        ck_assert_int_eq(at(all, 1)->times_ms[i], (i + 11) * 10);
    }
}
END_TEST

START_TEST(ticks_become_milliseconds_whatever_their_rate)
{
    g_autoptr(GArray) all = processor_times_parse("cpu0 1024 3 0 9007199254740992\n", 1024);

    ck_assert_int_eq(at(all, 0)->times_ms[0], 1000);
    ck_assert_int_eq(at(all, 0)->times_ms[1], 2);
    ck_assert_int_eq(at(all, 0)->times_ms[3], 8796093022208000);
}
END_TEST

/* Linux 2.6.10 ended with softirq, 2.6.32 with guest. */
START_TEST(what_an_old_kernel_does_not_count_is_absent_and_not_zero)
{
    g_autoptr(GArray) all = processor_times_parse("cpu0 1 2 3 4 5 6 7\ncpu1 1 2 3 4\n", 1000);

    ck_assert_int_eq(at(all, 0)->times_ms[6], 7);
    for (int i = 7; i < PROCESSOR_TIMES; i++)
        ck_assert_int_eq(at(all, 0)->times_ms[i], -1);
    ck_assert_int_eq(at(all, 1)->times_ms[3], 4);
    ck_assert_int_eq(at(all, 1)->times_ms[4], -1);
}
END_TEST

START_TEST(columns_of_a_newer_kernel_do_no_harm)
{
    g_autoptr(GArray) all = processor_times_parse("cpu0 1 2 3 4 5 6 7 8 9 10 11 12\n", 1000);

    ck_assert_uint_eq(all->len, 1);
    ck_assert_int_eq(at(all, 0)->times_ms[PROCESSOR_TIMES - 1], 10);
}
END_TEST

START_TEST(lines_of_something_else_are_passed_over)
{
    g_autoptr(GArray) all =
        processor_times_parse("cpu\ncpux 1 2 3 4\ncpu0\ncpu1 1 2 3\n\ncpufreq 1 2 3 4", 100);
    g_autoptr(GArray) none = processor_times_parse("", 100);

    ck_assert_uint_eq(all->len, 0);
    ck_assert_uint_eq(none->len, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processors");
    TCase *tcase = tcase_create("processors");
    tcase_add_test(tcase, each_processor_has_its_times_and_their_sum_is_none);
    tcase_add_test(tcase, ticks_become_milliseconds_whatever_their_rate);
    tcase_add_test(tcase, what_an_old_kernel_does_not_count_is_absent_and_not_zero);
    tcase_add_test(tcase, columns_of_a_newer_kernel_do_no_harm);
    tcase_add_test(tcase, lines_of_something_else_are_passed_over);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
