/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log.h"

#include <check.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS 20000 /* a noisy machine's patience, not a figure */

static char *directory;
static char *log_path;
static char *rotated_path;

static void setup(void)
{
    directory = g_dir_make_tmp("test-log-XXXXXX", NULL);
    ck_assert_ptr_nonnull(directory);
    log_path = g_build_filename(directory, "log", NULL);
    rotated_path = g_build_filename(directory, "log.1", NULL);
    signal(SIGPIPE, SIG_IGN);
    g_unsetenv("JOURNAL_STREAM");
}

static void teardown(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf %s %s.gone", directory, directory);
    ck_assert_int_eq(system(command), 0);
    g_clear_pointer(&directory, g_free);
    g_clear_pointer(&log_path, g_free);
    g_clear_pointer(&rotated_path, g_free);
}

static void open_file_log(uint64_t max_bytes)
{
    LogOptions options = {
        .sink = LOG_SINK_FILE, .path = log_path, .max_bytes = max_bytes, .level = LOG_LEVEL_INFO};
    g_autoptr(GError) error = NULL;
    ck_assert_msg(log_open(&options, &error), "%s", error ? error->message : "");
}

static void open_log(LogSink sink, const char *path)
{
    LogOptions options = {.sink = sink, .path = path, .level = LOG_LEVEL_INFO};
    ck_assert(log_open(&options, NULL));
}

static char *read_file(const char *path)
{
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

/* The lines without their time: "info test: text|...". */
static char *strip_times(const char *text)
{
    g_autoptr(GRegex) stamp =
        g_regex_new("^(<\\d>)?\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z ",
                    G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *lines = g_regex_replace(stamp, text, -1, 0, "\\1", 0, NULL);
    return g_strdelimit(g_steal_pointer(&lines), "\n", '|');
}

static void assert_lines(const char *text, const char *expected)
{
    g_autofree char *actual = strip_times(text);
    ck_assert_str_eq(actual, expected);
}

static void assert_file(const char *path, const char *expected)
{
    g_autofree char *text = read_file(path);
    assert_lines(text, expected);
}

static gboolean on_timeout(void *user_data)
{
    ck_abort_msg("what was waited for did not happen");
    return G_SOURCE_REMOVE;
}

static gboolean wake_up(void *user_data)
{
    return G_SOURCE_CONTINUE;
}

static void wait_until(bool (*condition)(void *data), void *data)
{
    guint timeout = g_timeout_add(WAIT_MS, on_timeout, NULL);
    guint ticks = g_timeout_add(10, wake_up, NULL);
    while (!condition(data))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timeout);
    g_source_remove(ticks);
}

/* Puts one end of a pipe or socket in the place of standard error and gives the other back. */
typedef struct {
    int saved_fd;
    int read_fd;
} Diversion;

static Diversion divert_stderr(int write_fd, int read_fd)
{
    Diversion diversion = {.saved_fd = dup(STDERR_FILENO), .read_fd = read_fd};
    fcntl(read_fd, F_SETFL, O_NONBLOCK);
    dup2(write_fd, STDERR_FILENO);
    close(write_fd);
    return diversion;
}

static Diversion divert_stderr_to_pipe(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    return divert_stderr(ends[1], ends[0]);
}

static Diversion divert_stderr_to_socket(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    return divert_stderr(ends[1], ends[0]);
}

static void end_diversion(Diversion *diversion)
{
    log_close();
    dup2(diversion->saved_fd, STDERR_FILENO);
    close(diversion->saved_fd);
    if (diversion->read_fd >= 0)
        close(diversion->read_fd);
}

static void read_what_is_there(int fd, GString *text)
{
    char buffer[4096];
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0)
        g_string_append_len(text, buffer, length);
}

static bool last_line_has_come(void *data)
{
    const Diversion *diversion = ((void **)data)[0];
    GString *text = ((void **)data)[1];
    read_what_is_there(diversion->read_fd, text);
    return strstr(text->str, "the last line\n") != NULL;
}

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

static void fill_and_catch_up(Diversion *diversion)
{
    g_autofree char *filling = g_strnfill(1000, 'x');
    open_log(LOG_SINK_STDERR, NULL);
    log_attach();
    for (int i = 0; i < 500; i++)
        log_info("test", "%03d %s", i, filling);
    log_info("test", "the last line");

    GString *text = g_string_new(NULL);
    void *data[] = {diversion, text};
    wait_until(last_line_has_come, data);
    end_diversion(diversion);
    g_auto(GStrv) lines = g_strsplit(text->str, "\n", -1);
    ck_assert_uint_eq(g_strv_length(lines), 502);
    for (int i = 0; i < 500; i++) {
        g_autofree char *expected = g_strdup_printf(" info test: %03d %s", i, filling);
        ck_assert(g_str_has_suffix(lines[i], expected));
    }
    g_string_free(text, TRUE);
}

START_TEST(a_full_pipe_blocks_nothing_and_gets_every_line_later)
{
    Diversion diversion = divert_stderr_to_pipe();
    fill_and_catch_up(&diversion);
}
END_TEST

START_TEST(a_full_journal_socket_blocks_nothing_and_gets_every_line_later)
{
    Diversion diversion = divert_stderr_to_socket();
    fill_and_catch_up(&diversion);
}
END_TEST

START_TEST(the_flags_of_a_shared_standard_error_stay_as_they_are)
{
    Diversion diversion = divert_stderr_to_pipe();
    int before = fcntl(STDERR_FILENO, F_GETFL);
    open_log(LOG_SINK_STDERR, NULL);
    log_info("test", "one");
    ck_assert_int_eq(fcntl(STDERR_FILENO, F_GETFL), before);
    end_diversion(&diversion);
}
END_TEST

START_TEST(a_pipe_whose_reader_is_gone_is_no_trouble)
{
    Diversion diversion = divert_stderr_to_pipe();
    open_log(LOG_SINK_STDERR, NULL);
    log_info("test", "one");
    close(diversion.read_fd);
    diversion.read_fd = -1;
    log_info("test", "two");
    log_info("test", "three");
    end_diversion(&diversion);
    open_file_log(0);
    log_info("test", "four");
    assert_file(log_path, "info test: four|");
}
END_TEST

START_TEST(lines_for_the_journal_carry_their_priority)
{
    Diversion diversion = divert_stderr_to_socket();
    struct stat status;
    ck_assert_int_eq(fstat(STDERR_FILENO, &status), 0);
    g_autofree char *stream =
        g_strdup_printf("%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    g_setenv("JOURNAL_STREAM", stream, TRUE);
    open_log(LOG_SINK_STDERR, NULL);
    log_error("test", "one");
    log_info("test", "two");
    GString *text = g_string_new(NULL);
    read_what_is_there(diversion.read_fd, text);
    end_diversion(&diversion);
    assert_lines(text->str, "<3>error test: one|<6>info test: two|");
    g_string_free(text, TRUE);
}
END_TEST

START_TEST(without_the_journal_lines_carry_no_priority)
{
    Diversion diversion = divert_stderr_to_socket();
    g_setenv("JOURNAL_STREAM", "1:2", TRUE);
    open_log(LOG_SINK_STDERR, NULL);
    log_error("test", "one");
    GString *text = g_string_new(NULL);
    read_what_is_there(diversion.read_fd, text);
    end_diversion(&diversion);
    assert_lines(text->str, "error test: one|");
    g_string_free(text, TRUE);
}
END_TEST

static int listen_as_syslog(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static char *receive(int fd)
{
    char buffer[65536];
    ssize_t length = recv(fd, buffer, sizeof buffer - 1, 0);
    return length < 0 ? NULL : g_strndup(buffer, (size_t)length);
}

START_TEST(syslog_gets_priority_name_and_the_original_time)
{
    int fd = listen_as_syslog(log_path);
    g_setenv("TZ", "UTC", TRUE);
    open_log(LOG_SINK_SYSLOG, log_path);
    log_write_at(1795224747123456, LOG_LEVEL_ERROR, "freeze", "text");
    g_autofree char *message = receive(fd);
    g_autofree char *expected = g_strdup_printf("<27>Nov 21 01:32:27 quiesced[%d]: "
                                                "2026-11-21T01:32:27.123456Z error freeze: text",
                                                (int)getpid());
    ck_assert_str_eq(message, expected);
    close(fd);
}
END_TEST

static bool syslog_has_caught_up(void *data)
{
    int *state = data; /* descriptor, number of messages */
    char *message;
    while ((message = receive(state[0])) != NULL) {
        g_autofree char *owned = message;
        g_autofree char *expected = g_strdup_printf("test: %03d", state[1]);
        ck_assert_ptr_nonnull(strstr(owned, expected));
        state[1]++;
    }
    return state[1] == 400;
}

START_TEST(a_full_syslog_socket_blocks_nothing_and_gets_every_line_later)
{
    int state[2] = {listen_as_syslog(log_path), 0};
    open_log(LOG_SINK_SYSLOG, log_path);
    log_attach();
    for (int i = 0; i < 400; i++)
        log_info("test", "%03d", i);
    wait_until(syslog_has_caught_up, state);
    close(state[0]);
    log_close();
}
END_TEST

START_TEST(a_syslog_that_starts_later_gets_the_earlier_lines)
{
    open_log(LOG_SINK_SYSLOG, log_path);
    log_info("test", "one");
    int fd = listen_as_syslog(log_path);
    log_info("test", "two");
    g_autofree char *one = receive(fd);
    g_autofree char *two = receive(fd);
    ck_assert(g_str_has_suffix(one, "test: one"));
    ck_assert(g_str_has_suffix(two, "test: two"));

    /* And one that is started anew. */
    close(fd);
    g_unlink(log_path);
    log_info("test", "three");
    fd = listen_as_syslog(log_path);
    log_info("test", "four");
    g_autofree char *three = receive(fd);
    ck_assert(g_str_has_suffix(three, "test: three"));
    close(fd);
}
END_TEST

START_TEST(what_glib_complains_about_is_logged)
{
    open_file_log(0);
    g_log("Domain", G_LOG_LEVEL_WARNING, "a complaint");
    assert_file(log_path, "warning Domain: a complaint|");
}
END_TEST

static TCase *make_case(const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 2 * WAIT_MS / 1000.0);
    tcase_add_checked_fixture(tcase, setup, teardown);
    return tcase;
}

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

    TCase *streams = make_case("streams");
    tcase_add_test(streams, a_full_pipe_blocks_nothing_and_gets_every_line_later);
    tcase_add_test(streams, a_full_journal_socket_blocks_nothing_and_gets_every_line_later);
    tcase_add_test(streams, the_flags_of_a_shared_standard_error_stay_as_they_are);
    tcase_add_test(streams, a_pipe_whose_reader_is_gone_is_no_trouble);
    tcase_add_test(streams, lines_for_the_journal_carry_their_priority);
    tcase_add_test(streams, without_the_journal_lines_carry_no_priority);
    tcase_add_test(streams, syslog_gets_priority_name_and_the_original_time);
    tcase_add_test(streams, a_full_syslog_socket_blocks_nothing_and_gets_every_line_later);
    tcase_add_test(streams, a_syslog_that_starts_later_gets_the_earlier_lines);
    suite_add_tcase(suite, streams);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
