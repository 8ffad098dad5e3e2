/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Standard error, the journal and syslog: sinks that may have no room for a line. */
#include "log-fixture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

int main(void)
{
    Suite *suite = suite_create("log-streams");
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
