/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/real-time-clock.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *text; /* NULL: no file */
    bool local;
} adjtime_files[] = {
    {NULL, false},
    {"", false},
    {"0.0 0 0.0\n0\nUTC\n", false},
    {"0.0 0 0.0\n0\nLOCAL\n", true},
    {"0.0 0 0.0\n0\nLOCAL", true},
    {"0.0 0 0.0\n0\n", false},
    {"LOCAL\n", false},
};

START_TEST(the_adjtime_file_tells_whether_the_clock_keeps_local_time)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("test-adjtime-XXXXXX", &path, NULL);
    ck_assert_int_ge(fd, 0);
    close(fd);
    if (adjtime_files[_i].text != NULL)
        ck_assert(g_file_set_contents(path, adjtime_files[_i].text, -1, NULL));
    else
        g_unlink(path);
    ck_assert_int_eq(real_time_clock_keeps_local_time(path), adjtime_files[_i].local);
    g_unlink(path);
}
END_TEST

START_TEST(a_machine_without_a_clock_is_told_from_one_whose_clock_cannot_be_read)
{
    g_autoptr(GError) error = NULL;
    int64_t seconds;
    bool exists =
        g_file_test("/dev/rtc0", G_FILE_TEST_EXISTS) || g_file_test("/dev/rtc", G_FILE_TEST_EXISTS);
    real_time_clock_read(&seconds, &error);
    ck_assert_int_eq(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT), !exists);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real-time-clock");
    TCase *tcase = tcase_create("real-time-clock");
    tcase_add_loop_test(tcase, the_adjtime_file_tells_whether_the_clock_keeps_local_time, 0,
                        G_N_ELEMENTS(adjtime_files));
    tcase_add_test(tcase, a_machine_without_a_clock_is_told_from_one_whose_clock_cannot_be_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
