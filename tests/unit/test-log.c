/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log-fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(a_line_has_time_level_topic_and_text)
{
    open_file_log(0);
    log_write_at(1795224747123456, LOG_LEVEL_WARNING, "freeze", "it took %d ms", 7);
    g_autofree char *text = read_file(log_path);
    ck_assert_str_eq(text, "2026-11-21T01:32:27.123456Z warning freeze: it took 7 ms\n");
}
END_TEST

START_TEST(lines_above_the_level_are_not_kept)
{
    open_file_log(0);
    log_debug("test", "no");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("test", "yes");
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("test", "no");
    assert_file(log_path, "debug test: yes|");
    g_auto(GStrv) tail = log_tail(10);
    ck_assert_uint_eq(g_strv_length(tail), 1);
}
END_TEST

START_TEST(text_cannot_forge_a_line_nor_steer_a_terminal)
{
    open_file_log(0);
    log_info("test", "a\nb\tc\r\x1b[2J \x7f \xc2\x9b \xe2\x80\xa8 \xe2\x80\xae \xff %s",
             "na\xc3\xafve \xe2\x9c\x93");
    assert_file(log_path, "info test: a\\nb\\tc\\x0d\\x1b[2J \\x7f \\xc2\\x9b \\xe2\\x80\\xa8 "
                          "\\xe2\\x80\\xae \\xff na\xc3\xafve \xe2\x9c\x93|");
}
END_TEST

START_TEST(a_long_text_is_cut_and_says_so)
{
    g_autofree char *text = g_strnfill(1000 * 1000, 'x');
    open_file_log(0);
    log_info("test", "%s", text);
    g_autofree char *written = read_file(log_path);
    ck_assert_uint_lt(strlen(written), 16 * 1024);
    ck_assert(g_str_has_suffix(written, "xxx... (987712 more bytes)\n"));
}
END_TEST

START_TEST(the_file_is_not_for_everybody)
{
    umask(0);
    open_file_log(0);
    struct stat status;
    ck_assert_int_eq(stat(log_path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0640);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_an_error_that_names_it)
{
    LogOptions options = {.sink = LOG_SINK_FILE, .path = "/nonexistent/log"};
    g_autoptr(GError) error = NULL;
    ck_assert(!log_open(&options, &error));
    ck_assert_str_eq(error->message,
                     "cannot open the log file /nonexistent/log: No such file or directory");
}
END_TEST

START_TEST(the_symbolic_link_of_another_user_is_not_followed)
{
    if (geteuid() != 0)
        return;
    g_autofree char *target = g_build_filename(directory, "target", NULL);
    ck_assert_int_eq(symlink(target, log_path), 0);
    ck_assert_int_eq(lchown(log_path, 12345, 12345), 0);
    LogOptions options = {.sink = LOG_SINK_FILE, .path = log_path};
    g_autoptr(GError) error = NULL;
    ck_assert(!log_open(&options, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "symbolic link"));
    ck_assert(!g_file_test(target, G_FILE_TEST_EXISTS));
    ck_assert_int_eq(lchown(log_path, 0, 0), 0);
    ck_assert(log_open(&options, NULL));
    ck_assert(g_file_test(target, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(a_full_file_is_rotated_once_and_again)
{
    open_file_log(1000);
    for (int i = 0; i < 100; i++)
        log_info("test", "line %02d", i);
    g_autofree char *now = read_file(log_path);
    g_autofree char *before = read_file(rotated_path);
    ck_assert_uint_le(strlen(now), 1000);
    ck_assert_uint_le(strlen(before), 1000);
    ck_assert_uint_gt(strlen(before), 900);
    ck_assert(g_str_has_suffix(now, "line 99\n"));
    ck_assert_int_eq(atoi(strstr(now, "line ") + 5), atoi(strrchr(before, ' ') + 1) + 1);
}
END_TEST

START_TEST(a_file_that_cannot_be_rotated_stays_within_its_bound)
{
    ck_assert_int_eq(g_mkdir(rotated_path, 0755), 0);
    open_file_log(1000);
    for (int i = 0; i < 100; i++)
        log_info("test", "line %02d", i);
    g_autofree char *now = read_file(log_path);
    ck_assert_uint_le(strlen(now), 1000);
    ck_assert(g_str_has_suffix(now, "line 99\n"));
}
END_TEST

START_TEST(after_a_reopen_lines_go_to_the_new_file)
{
    open_file_log(0);
    log_info("test", "one");
    ck_assert_int_eq(rename(log_path, rotated_path), 0);
    log_info("test", "two");
    log_reopen();
    log_info("test", "three");
    assert_file(rotated_path, "info test: one|info test: two|");
    assert_file(log_path, "info test: three|");
}
END_TEST

START_TEST(a_file_that_is_removed_is_made_anew)
{
    open_file_log(0);
    log_info("test", "one");
    g_unlink(log_path);
    log_info("test", "two");
    assert_file(log_path, "info test: two|");
}
END_TEST

static bool file_has_three_lines(void *data)
{
    g_autofree char *text = read_file(log_path);
    return strstr(text, "could not be written") != NULL;
}

START_TEST(while_the_directory_is_gone_lines_wait_in_memory)
{
    open_file_log(0);
    log_attach();
    g_autofree char *away = g_strconcat(directory, ".gone", NULL);
    ck_assert_int_eq(rename(directory, away), 0);
    log_reopen();
    log_write_at(1000000, LOG_LEVEL_INFO, "test", "one");
    log_info("test", "two");
    ck_assert_int_eq(rename(away, directory), 0);
    g_unlink(log_path);
    /* No new line is needed. */
    wait_until(file_has_three_lines, NULL);
    g_autofree char *text = read_file(log_path);
    ck_assert(g_str_has_prefix(text, "1970-01-01T00:00:01.000000Z info test: one\n"));
    g_autofree char *stripped = strip_times(text);
    ck_assert(
        g_str_has_prefix(stripped, "info test: one|info test: two|warning log: the log file"));
    ck_assert(g_str_has_suffix(stripped, "s: No such file or directory|"));
    log_close();
}
END_TEST

START_TEST(a_full_disk_loses_nothing_and_stops_nothing)
{
    LogOptions options = {.sink = LOG_SINK_FILE, .path = "/dev/full", .level = LOG_LEVEL_INFO};
    ck_assert(log_open(&options, NULL));
    log_info("test", "one");
    log_info("test", "two");
    open_file_log(0);
    log_info("test", "three");
    assert_file(log_path, "info test: one|info test: two|info test: three|");
}
END_TEST

START_TEST(a_line_that_could_be_written_in_part_is_completed_later)
{
    struct rlimit limit, small = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small.rlim_max = limit.rlim_max;
    open_file_log(0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_info("test", "one");
    log_info("test", "two");
    log_info("test", "three");
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    log_info("test", "four");
    g_autofree char *text = read_file(log_path);
    g_autofree char *lines = strip_times(text);
    ck_assert(g_str_has_prefix(lines, "info test: one|info test: two|info test: three|"));
    ck_assert_ptr_nonnull(strstr(lines, "|info test: four|"));
}
END_TEST

START_TEST(while_held_nothing_is_written_and_afterwards_all_with_its_time)
{
    open_file_log(0);
    log_info("test", "before");
    log_hold();
    log_hold();
    log_write_at(2000000, LOG_LEVEL_INFO, "test", "held");
    assert_file(log_path, "info test: before|");
    g_auto(GStrv) tail = log_tail(1);
    ck_assert_str_eq(tail[0], "1970-01-01T00:00:02.000000Z info test: held");
    log_release();
    log_info("test", "after");
    assert_file(log_path, "info test: before|info test: held|info test: after|");
    g_autofree char *text = read_file(log_path);
    ck_assert_ptr_nonnull(strstr(text, "\n1970-01-01T00:00:02.000000Z info test: held\n"));
}
END_TEST

START_TEST(a_reopen_while_held_touches_no_file_until_the_release)
{
    open_file_log(0);
    log_hold();
    ck_assert_int_eq(rename(log_path, rotated_path), 0);
    log_reopen();
    log_info("test", "held");
    ck_assert(!g_file_test(log_path, G_FILE_TEST_EXISTS));
    log_release();
    assert_file(log_path, "info test: held|");
    assert_file(rotated_path, "");
}
END_TEST

START_TEST(closing_while_held_writes_nothing)
{
    open_file_log(0);
    log_hold();
    log_info("test", "held");
    log_close();
    assert_file(log_path, "");
}
END_TEST

START_TEST(beyond_the_memory_bound_the_oldest_go_and_are_counted)
{
    g_autofree char *filling = g_strnfill(1000, 'x');
    open_file_log(0);
    log_hold();
    for (int i = 0; i < 3000; i++)
        log_info("test", "%04d %s", i, filling);
    g_auto(GStrv) tail = log_tail(100000);
    size_t kept_bytes = 0;
    for (char **line = tail; *line != NULL; line++)
        kept_bytes += strlen(*line);
    ck_assert_uint_le(kept_bytes, LOG_MEMORY_BYTES);
    ck_assert_uint_gt(kept_bytes, LOG_MEMORY_BYTES * 9 / 10);
    log_release();

    g_autofree char *text = read_file(log_path);
    g_autofree char *first = g_strndup(text, strcspn(text, "\n"));
    g_autofree char *expected = g_strdup_printf(
        "warning log: %u older lines were lost: the log file %s did not take them in time",
        3000 - g_strv_length(tail), log_path);
    assert_lines(first, expected);
    g_autofree char *next = g_strdup_printf("test: %04u x", 3000 - g_strv_length(tail));
    ck_assert_ptr_nonnull(strstr(text + strlen(first), next));
    ck_assert_ptr_nonnull(strstr(text, "test: 2999 x"));
}
END_TEST

START_TEST(the_tail_is_the_newest_lines_whether_or_not_they_were_written)
{
    open_file_log(0);
    log_info("test", "one");
    log_info("test", "two");
    log_hold();
    log_info("test", "three");
    g_auto(GStrv) tail = log_tail(2);
    ck_assert_uint_eq(g_strv_length(tail), 2);
    ck_assert(g_str_has_suffix(tail[0], "test: two"));
    ck_assert(g_str_has_suffix(tail[1], "test: three"));
    log_release();
}
END_TEST

START_TEST(what_glib_complains_about_is_logged)
{
    open_file_log(0);
    g_log("Domain", G_LOG_LEVEL_WARNING, "a complaint");
    assert_file(log_path, "warning Domain: a complaint|");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *lines = make_case("lines");
    tcase_add_test(lines, a_line_has_time_level_topic_and_text);
    tcase_add_test(lines, lines_above_the_level_are_not_kept);
    tcase_add_test(lines, text_cannot_forge_a_line_nor_steer_a_terminal);
    tcase_add_test(lines, a_long_text_is_cut_and_says_so);
    tcase_add_test(lines, what_glib_complains_about_is_logged);
    suite_add_tcase(suite, lines);

    TCase *file = make_case("file");
    tcase_add_test(file, the_file_is_not_for_everybody);
    tcase_add_test(file, a_file_that_cannot_be_opened_is_an_error_that_names_it);
    tcase_add_test(file, the_symbolic_link_of_another_user_is_not_followed);
    tcase_add_test(file, a_full_file_is_rotated_once_and_again);
    tcase_add_test(file, a_file_that_cannot_be_rotated_stays_within_its_bound);
    tcase_add_test(file, after_a_reopen_lines_go_to_the_new_file);
    tcase_add_test(file, a_file_that_is_removed_is_made_anew);
    tcase_add_test(file, while_the_directory_is_gone_lines_wait_in_memory);
    tcase_add_test(file, a_line_that_could_be_written_in_part_is_completed_later);
    tcase_add_test(file, a_full_disk_loses_nothing_and_stops_nothing);
    suite_add_tcase(suite, file);

    TCase *memory = make_case("memory");
    tcase_add_test(memory, while_held_nothing_is_written_and_afterwards_all_with_its_time);
    tcase_add_test(memory, a_reopen_while_held_touches_no_file_until_the_release);
    tcase_add_test(memory, closing_while_held_writes_nothing);
    tcase_add_test(memory, beyond_the_memory_bound_the_oldest_go_and_are_counted);
    tcase_add_test(memory, the_tail_is_the_newest_lines_whether_or_not_they_were_written);
    suite_add_tcase(suite, memory);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
