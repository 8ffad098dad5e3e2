/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/disk-list.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Lines as linux/Documentation/admin-guide/iostats.rst has them. */
#define BASIC "   8       0 sda 11 12 13 14 15 16 17 18 19 20 21"
#define DISCARDS BASIC " 22 23 24 25"
#define FLUSHES DISCARDS " 26 27"

static void assert_columns(const char *text, unsigned n_columns)
{
    g_autoptr(GArray) all = disk_statistics_parse(text);

    ck_assert_uint_eq(all->len, 1);
    const DiskStatistics *statistics = &g_array_index(all, DiskStatistics, 0);
    ck_assert_uint_eq(statistics->major, 8);
    ck_assert_uint_eq(statistics->minor, 0);
    ck_assert_str_eq(statistics->name, "sda");
    ck_assert_uint_eq(statistics->n_columns, n_columns);
    for (unsigned i = 0; i < n_columns; i++)
        ck_assert_uint_eq(statistics->columns[i], i + 11);
}

START_TEST(a_kernel_before_4_18_has_neither_discards_nor_flushes)
{
    assert_columns(BASIC "\n", DISK_COLUMNS_BASIC);
}
END_TEST

START_TEST(a_kernel_before_5_5_has_no_flushes)
{
    assert_columns(DISCARDS "\n", DISK_COLUMNS_DISCARD);
}
END_TEST

START_TEST(a_kernel_of_today_has_all_and_may_have_more)
{
    assert_columns(FLUSHES "\n", DISK_COLUMNS_FLUSH);
    assert_columns(FLUSHES " 28 29 30\n", DISK_COLUMNS_FLUSH);
}
END_TEST

/* Nobody shows half a group as if the rest were zero. */
START_TEST(a_group_that_is_cut_short_is_left_out)
{
    assert_columns(BASIC " 22 23", DISK_COLUMNS_BASIC);
    assert_columns(DISCARDS " 26", DISK_COLUMNS_DISCARD);
}
END_TEST

/* Kernels 2.6.0 to 2.6.24 had four figures for a partition, which mean something else. */
START_TEST(partitions_of_kernels_before_2_6_25_are_left_out)
{
    g_autoptr(GArray) all = disk_statistics_parse("   8    1 sda1 1 2 3 4\n" BASIC "\n");

    ck_assert_uint_eq(all->len, 1);
    ck_assert_str_eq(g_array_index(all, DiskStatistics, 0).name, "sda");
}
END_TEST

START_TEST(no_length_of_a_name_overflows)
{
    g_autofree char *name = g_strnfill(4096, 'x');
    g_autofree char *line = g_strconcat("8 0 ", name, " 1 2 3 4 5 6 7 8 9 10 11\n\n8\n", NULL);
    g_autoptr(GArray) all = disk_statistics_parse(line);

    ck_assert_uint_eq(all->len, 1);
    ck_assert_uint_lt(strlen(g_array_index(all, DiskStatistics, 0).name), 64);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk-statistics");
    TCase *tcase = tcase_create("disk-statistics");
    tcase_add_test(tcase, a_kernel_before_4_18_has_neither_discards_nor_flushes);
    tcase_add_test(tcase, a_kernel_before_5_5_has_no_flushes);
    tcase_add_test(tcase, a_kernel_of_today_has_all_and_may_have_more);
    tcase_add_test(tcase, a_group_that_is_cut_short_is_left_out);
    tcase_add_test(tcase, partitions_of_kernels_before_2_6_25_are_left_out);
    tcase_add_test(tcase, no_length_of_a_name_overflows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
