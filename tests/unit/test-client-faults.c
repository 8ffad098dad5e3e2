/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A peer that stalls, leaves, talks nonsense or answers out of step. */
#include "client-fixture.h"

#include <sys/eventfd.h>

START_TEST(a_peer_that_stalls_costs_the_deadline_and_no_more)
{
    Client *client = begin(stay_until_closed);
    int64_t start_us = g_get_monotonic_time();
    g_autofree char *message = ping_error(client, IMPATIENCE_MS, CLIENT_ERROR_TIMEOUT);
    int64_t taken_ms = (g_get_monotonic_time() - start_us) / 1000;

    ck_assert_int_ge(taken_ms, IMPATIENCE_MS - 1);
    ck_assert_int_lt(taken_ms, PATIENCE_MS / 3);
    assert_contains(message, "guest-ping: ");
    assert_contains(message, "the pair");
    assert_contains(message, "150 ms");
}
END_TEST

static void never_finish(int fd)
{
    say(fd, "[");
    for (struct pollfd closed = {.fd = fd, .events = POLLRDHUP}; poll(&closed, 1, 1) == 0;)
        say(fd, "1,");
}

static void never_stop_talking(int fd)
{
    for (struct pollfd closed = {.fd = fd, .events = POLLRDHUP}; poll(&closed, 1, 0) == 0;)
        say(fd, "{\"return\": 1}\nno reply\n");
}

START_TEST(a_peer_that_never_stops_talking_gains_no_time)
{
    Client *client = begin(_i == 0 ? never_finish : never_stop_talking);
    int64_t start_us = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;

    ck_assert(!client_sync(client, IMPATIENCE_MS, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT));
    ck_assert_int_lt(g_get_monotonic_time() - start_us, PATIENCE_MS * 1000 / 3);
}
END_TEST

static void close_at_once(int fd)
{
}

static void close_after_request(int fd)
{
    g_free(hear(fd));
}

static void close_in_reply(int fd)
{
    g_free(hear(fd));
    say(fd, "{\"return\": {");
}

static const Script closers[] = {close_at_once, close_after_request, close_in_reply};

START_TEST(a_peer_that_closes_is_told_as_such)
{
    Client *client = begin(closers[_i]);
    g_autofree char *message = ping_error(client, PATIENCE_MS, CLIENT_ERROR_CLOSED);

    assert_contains(message, "the pair");
}
END_TEST

static void answer_text(int fd)
{
    g_free(hear(fd));
    say(fd, "login: \n");
    obey_sync(fd);
    obey_ping(fd);
}

static void answer_other_json(int fd)
{
    g_free(hear(fd));
    say(fd, "{\"event\": \"RESET\"}\n");
    obey_sync(fd);
    obey_ping(fd);
}

static void answer_scalar(int fd)
{
    g_free(hear(fd));
    say(fd, "17\n");
    obey_sync(fd);
    obey_ping(fd);
}

static const Script garblers[] = {answer_text, answer_other_json, answer_scalar};

START_TEST(garbage_is_an_error_and_the_next_call_syncs_first)
{
    Client *client = begin(garblers[_i]);
    g_autofree char *message = ping_error(client, PATIENCE_MS, CLIENT_ERROR_GARBAGE);

    assert_contains(message, "the pair");
    assert_ping_works(client);
}
END_TEST

/* Answers the first request only after the sync that follows it. */
static void answer_late(int fd)
{
    expect(fd, "{\"execute\": \"guest-fsfreeze-freeze\"}");
    int64_t id = hear_sync(fd);
    say(fd, "{\"return\": 3}\n");
    say_synced(fd, id);
    obey_ping(fd);
}

START_TEST(a_late_reply_is_never_the_answer_to_another_call)
{
    Client *client = begin(answer_late);
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(client_call(client, "guest-fsfreeze-freeze", NULL, IMPATIENCE_MS, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT));
    assert_ping_works(client);
}
END_TEST

static int second_reply_said = -1;

static void answer_twice(int fd)
{
    expect(fd, "{\"execute\": \"guest-ping\"}");
    say(fd, "{\"return\": {}}\n{\"return\": 17}\n");
    eventfd_write(second_reply_said, 1);
    obey_sync(fd);
    obey_ping(fd);
}

START_TEST(a_reply_that_nobody_asked_for_is_no_answer)
{
    eventfd_t count = 0;

    second_reply_said = eventfd(0, EFD_CLOEXEC);
    Client *client = begin(answer_twice);
    assert_ping_works(client);
    eventfd_read(second_reply_said, &count);
    assert_ping_works(client);
    close(second_reply_said);
}
END_TEST

static void shut_down(int fd)
{
    expect(fd, "{\"execute\": \"guest-shutdown\", \"arguments\": {}}");
    say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n");
    obey_sync(fd);
    obey_ping(fd);
}

START_TEST(send_waits_for_no_reply_and_a_later_one_is_skipped)
{
    Client *client = begin(shut_down);
    g_autoptr(GError) error = NULL;
    json_object *arguments = json_object_new_object();

    ck_assert(client_send(client, "guest-shutdown", arguments, PATIENCE_MS, &error));
    json_object_put(arguments);
    assert_ping_works(client);
}
END_TEST

static int may_read = -1;

/* Reads nothing for a while, then writes more than the socket holds before it reads. */
static void write_before_reading(int fd)
{
    eventfd_t count = 0;
    g_autofree char *stale = g_strnfill(4 * 1024 * 1024, 'z');
    g_autofree char *cut_request = NULL;
    char byte = 0;

    eventfd_read(may_read, &count);
    say(fd, stale);
    while (read(fd, &byte, 1) == 1 && byte != (char)0xFF)
        continue;
    cut_request = hear(fd);
    g_assert_true(g_str_has_prefix(cut_request, "{\"execute\": \"guest-sync-delimited\""));
    say_synced(fd, g_ascii_strtoll(strrchr(cut_request, ':') + 1, NULL, 10));
    obey_ping(fd);
}

START_TEST(a_peer_that_does_not_read_costs_the_deadline_and_sync_repairs_it)
{
    g_autoptr(GError) error = NULL;
    json_object *arguments = large_arguments();

    may_read = eventfd(0, EFD_CLOEXEC);
    Client *client = begin(write_before_reading);
    ck_assert_ptr_null(client_call(client, "guest-file-write", arguments, IMPATIENCE_MS, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT));
    json_object_put(arguments);
    eventfd_write(may_read, 1);
    assert_ping_works(client);
    close(may_read);
}
END_TEST

/* What comes after a request that was cut off. */
static void find_thaw(int fd)
{
    eventfd_t count = 0;
    char byte = 0;

    eventfd_read(may_read, &count);
    while (read(fd, &byte, 1) == 1 && byte != (char)0xFF)
        continue;
    expect(fd, "{\"execute\": \"guest-fsfreeze-thaw\"}");
    eventfd_write(second_reply_said, 1);
}

START_TEST(a_request_after_one_that_was_cut_off_begins_with_the_delimiter)
{
    g_autoptr(GError) error = NULL;
    eventfd_t count = 0;
    json_object *arguments = large_arguments();

    may_read = eventfd(0, EFD_CLOEXEC);
    second_reply_said = eventfd(0, EFD_CLOEXEC);
    Client *client = begin(find_thaw);
    ck_assert(!client_send(client, "guest-file-write", arguments, IMPATIENCE_MS, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT));
    g_clear_error(&error);
    json_object_put(arguments);
    eventfd_write(may_read, 1);
    ck_assert(client_send(client, "guest-fsfreeze-thaw", NULL, PATIENCE_MS, &error));
    eventfd_read(second_reply_said, &count);
    close(may_read);
    close(second_reply_said);
}
END_TEST

START_TEST(an_interrupt_ends_a_call_at_once_until_it_is_switched_off)
{
    int interrupt_fd = eventfd(1, EFD_CLOEXEC);
    Client *client = begin(stay_until_closed);
    int64_t start_us = g_get_monotonic_time();

    client_set_interrupt_fd(client, interrupt_fd);
    g_free(ping_error(client, PATIENCE_MS, CLIENT_ERROR_INTERRUPTED));
    ck_assert_int_lt(g_get_monotonic_time() - start_us, PATIENCE_MS * 1000 / 3);
    client_set_interrupt_fd(client, -1);
    g_free(ping_error(client, IMPATIENCE_MS, CLIENT_ERROR_TIMEOUT));
    close(interrupt_fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client-faults");
    TCase *tests = tcase_create("client-faults");

    tcase_add_checked_fixture(tests, NULL, end);
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, a_peer_that_stalls_costs_the_deadline_and_no_more);
    tcase_add_loop_test(tests, a_peer_that_never_stops_talking_gains_no_time, 0, 2);
    tcase_add_loop_test(tests, a_peer_that_closes_is_told_as_such, 0, G_N_ELEMENTS(closers));
    tcase_add_loop_test(tests, garbage_is_an_error_and_the_next_call_syncs_first, 0,
                        G_N_ELEMENTS(garblers));
    tcase_add_test(tests, a_late_reply_is_never_the_answer_to_another_call);
    tcase_add_test(tests, a_reply_that_nobody_asked_for_is_no_answer);
    tcase_add_test(tests, send_waits_for_no_reply_and_a_later_one_is_skipped);
    tcase_add_test(tests, a_peer_that_does_not_read_costs_the_deadline_and_sync_repairs_it);
    tcase_add_test(tests, a_request_after_one_that_was_cut_off_begins_with_the_delimiter);
    tcase_add_test(tests, an_interrupt_ends_a_call_at_once_until_it_is_switched_off);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
