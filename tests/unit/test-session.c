/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/dispatch.h"
#include "agent/freeze-engine.h"
#include "agent/session.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_S 20
#define STALL_TIMEOUT_MS 200
#define PING "{\"execute\": \"guest-ping\"}"
#define PONG "{\"return\": {}}\n"
#define SLOW "{\"execute\": \"test-slow\"}"
#define LARGE "{\"execute\": \"test-large\"}"
#define COUNT "{\"execute\": \"test-count\"}"
#define LARGE_BYTES (8u * 1024 * 1024)

__attribute__((weak)) FreezeState freeze_engine_state(const FreezeEngine *engine)
{
    return FREEZE_STATE_THAWED;
}

static CommandCall *slow_call;
static unsigned counted;

static void start_slow(Agent *agent, const void *arguments, CommandCall *call)
{
    slow_call = call;
}

static void finish_slow(void)
{
    json_writer_string(command_call_reply(slow_call), "return", "slow");
    command_call_finish(g_steal_pointer(&slow_call), NULL);
}

static bool run_large(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    g_autofree char *text = g_strnfill(LARGE_BYTES, 'x');
    json_writer_string(reply, "return", text);
    return true;
}

static bool run_count(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    json_writer_integer(reply, "return", ++counted);
    return true;
}

static const Command test_commands[] = {
    {.name = "test-slow", .start = start_slow},
    {.name = "test-large", .run = run_large},
    {.name = "test-count", .run = run_count},
    {.name = NULL},
};
static const Command *const families[] = {sync_commands, test_commands, NULL};

static Agent agent;
static Session *session;
static int host_fd; /* the other end of the session's socket */
static bool ended;
static bool ended_with_error;
static GString *received;

static void on_ended(Session *which, const GError *error, void *user_data)
{
    ck_assert_ptr_eq(which, session);
    ended = true;
    ended_with_error = error != NULL;
    g_clear_pointer(&session, session_free);
}

static void open_session(SessionFlags flags)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    SessionOptions options = {
        .fd = ends[0], .name = "test", .flags = flags, .stall_timeout_ms = STALL_TIMEOUT_MS};
    session = session_new(agent.dispatch, &options, on_ended, NULL, NULL);
    ck_assert_ptr_nonnull(session);
    host_fd = ends[1];
}

static void set_up(void)
{
    agent = (Agent){0};
    agent.dispatch = dispatch_new_with_families(&agent, families);
    received = g_string_new(NULL);
    ended = false;
    counted = 0;
    slow_call = NULL;
    open_session(SESSION_SHORT_READ_IS_ALL);
}

static void hang_up(void)
{
    if (host_fd >= 0)
        close(host_fd);
    host_fd = -1;
}

static void tear_down(void)
{
    hang_up();
    session_free(session);
    dispatch_free(agent.dispatch);
    g_string_free(received, TRUE);
}

static void send_bytes(const char *bytes, size_t length)
{
    ck_assert_int_eq(write(host_fd, bytes, length), (ssize_t)length);
}

static void send_text(const char *text)
{
    send_bytes(text, strlen(text));
}

static void receive(void)
{
    char buffer[65536];
    ssize_t count;
    while (host_fd >= 0 && (count = read(host_fd, buffer, sizeof buffer)) > 0)
        g_string_append_len(received, buffer, count);
}

/* Runs the main loop until the condition holds. */
#define WAIT_UNTIL(condition) \
    do { \
        int64_t deadline_us = g_get_monotonic_time() + DEADLINE_S * G_USEC_PER_SEC; \
        while (!(condition)) { \
            ck_assert_msg(g_get_monotonic_time() < deadline_us, "not in time: " #condition); \
            if (!g_main_context_iteration(NULL, FALSE)) \
                g_usleep(200); \
        } \
    } while (0)

/* Runs the main loop until nothing is left to do. */
static void settle(void)
{
    for (int i = 0; i < 50; i++) {
        while (g_main_context_iteration(NULL, FALSE))
            ;
        g_usleep(200);
    }
}

static void assert_received(const char *expected)
{
    WAIT_UNTIL((receive(), received->len >= strlen(expected)));
    settle();
    receive();
    ck_assert_str_eq(received->str, expected);
    g_string_truncate(received, 0);
}

START_TEST(requests_are_answered_without_a_newline)
{
    send_text(PING);
    assert_received(PONG);
}
END_TEST

START_TEST(a_request_split_at_any_byte_is_one_request)
{
    const char *request = PING;
    for (size_t at = 1; at < strlen(request); at++) {
        send_bytes(request, at);
        settle();
        receive();
        ck_assert_uint_eq(received->len, 0);
        send_text(request + at);
        WAIT_UNTIL((receive(), received->len >= strlen(PONG)));
        ck_assert_str_eq(received->str, PONG);
        g_string_truncate(received, 0);
    }
}
END_TEST

START_TEST(requests_in_one_write_are_answered_in_order)
{
    send_text(PING COUNT PING COUNT "\n" COUNT);
    assert_received(PONG "{\"return\": 1}\n" PONG "{\"return\": 2}\n{\"return\": 3}\n");
}
END_TEST

START_TEST(more_requests_than_one_turn_takes_are_all_answered)
{
    GString *requests = g_string_new(NULL);
    GString *replies = g_string_new(NULL);
    for (int i = 1; i <= 1000; i++) {
        g_string_append(requests, COUNT);
        g_string_append_printf(replies, "{\"return\": %d}\n", i);
    }
    send_bytes(requests->str, requests->len);
    assert_received(replies->str);
    g_string_free(requests, TRUE);
    g_string_free(replies, TRUE);
}
END_TEST

START_TEST(garbage_costs_one_error_and_no_connection)
{
    send_text("}}} garbage\n" PING);
    WAIT_UNTIL((receive(), g_str_has_suffix(received->str, PONG)));
    ck_assert(g_str_has_prefix(received->str, "{\"error\": {\"class\": \"GenericError\""));
    ck_assert(!ended);
}
END_TEST

START_TEST(while_a_command_is_under_way_nothing_else_is_carried_out)
{
    send_text(SLOW COUNT);
    WAIT_UNTIL(slow_call != NULL);
    send_text(COUNT);
    settle();
    ck_assert_uint_eq(counted, 0);
    finish_slow();
    assert_received("{\"return\": \"slow\"}\n{\"return\": 1}\n{\"return\": 2}\n");
}
END_TEST

START_TEST(while_a_command_is_under_way_nothing_is_read)
{
    send_text(SLOW);
    WAIT_UNTIL(slow_call != NULL);
    g_autofree char *block = g_strnfill(65536, ' ');
    size_t taken = 0;
    ssize_t count;
    for (int i = 0; i < 100; i++) {
        while ((count = write(host_fd, block, 65536)) > 0)
            taken += (size_t)count;
        settle();
    }
    ck_assert_uint_lt(taken, 4 * 1024 * 1024);
    finish_slow();
    assert_received("{\"return\": \"slow\"}\n");
}
END_TEST

START_TEST(a_command_finishes_for_a_host_that_left)
{
    send_text(SLOW);
    WAIT_UNTIL(slow_call != NULL);
    hang_up();
    settle();
    finish_slow();
    WAIT_UNTIL(ended);
    ck_assert_ptr_null(slow_call);
}
END_TEST

START_TEST(a_session_may_be_freed_while_a_command_is_under_way)
{
    send_text(SLOW);
    WAIT_UNTIL(slow_call != NULL);
    g_clear_pointer(&session, session_free);
    finish_slow();
}
END_TEST

START_TEST(what_a_host_sent_before_it_left_is_carried_out)
{
    send_text(COUNT COUNT COUNT);
    hang_up();
    WAIT_UNTIL(ended);
    ck_assert_uint_eq(counted, 3);
    ck_assert(!ended_with_error);
}
END_TEST

START_TEST(a_host_that_only_stopped_sending_gets_its_replies)
{
    send_text(SLOW COUNT);
    ck_assert_int_eq(shutdown(host_fd, SHUT_WR), 0);
    WAIT_UNTIL(slow_call != NULL);
    ck_assert(!ended);
    finish_slow();
    WAIT_UNTIL(ended);
    assert_received("{\"return\": \"slow\"}\n{\"return\": 1}\n");
}
END_TEST

START_TEST(a_large_reply_arrives_whole_and_then_the_next)
{
    send_text(LARGE PING);
    size_t size = strlen("{\"return\": \"\"}\n") + LARGE_BYTES + strlen(PONG);
    WAIT_UNTIL((receive(), received->len >= size));
    ck_assert_uint_eq(received->len, size);
    ck_assert(g_str_has_suffix(received->str, "x\"}\n" PONG));
}
END_TEST

START_TEST(unread_replies_hold_back_further_requests)
{
    send_text(LARGE COUNT);
    WAIT_UNTIL(g_main_context_pending(NULL));
    settle();
    ck_assert_uint_eq(counted, 0);
    WAIT_UNTIL((receive(), g_str_has_suffix(received->str, "{\"return\": 1}\n")));
}
END_TEST

START_TEST(a_socket_whose_host_stops_reading_is_closed)
{
    send_text(LARGE);
    WAIT_UNTIL(ended);
    ck_assert(ended_with_error);
}
END_TEST

START_TEST(a_slow_reader_is_not_given_up)
{
    const size_t size = strlen("{\"return\": \"\"}\n") + LARGE_BYTES;
    send_text(LARGE);
    char buffer[256 * 1024];
    size_t total = 0;
    while (total < size) {
        int64_t pause_us = g_get_monotonic_time() + STALL_TIMEOUT_MS * 1000 / 4;
        WAIT_UNTIL(g_get_monotonic_time() > pause_us);
        ssize_t count = read(host_fd, buffer, sizeof buffer);
        ck_assert_int_gt(count, 0);
        total += (size_t)count;
    }
    ck_assert_uint_eq(total, size);
    ck_assert(!ended);
}
END_TEST

START_TEST(a_port_whose_host_stops_reading_is_resynchronised)
{
    g_clear_pointer(&session, session_free);
    hang_up();
    open_session(SESSION_SURVIVES_STALL);
    send_text(LARGE COUNT COUNT);
    WAIT_UNTIL(counted == 2); /* carried out although nobody reads: one may be a thaw */
    ck_assert(!ended);

    WAIT_UNTIL((receive(), received->len > 0 && !g_main_context_pending(NULL)));
    settle();
    receive();
    ck_assert_ptr_null(strchr(received->str, '\n'));
    g_string_truncate(received, 0);
    send_text(COUNT);
    assert_received("\n{\"return\": 3}\n");
    send_text(PING);
    assert_received(PONG);
}
END_TEST

START_TEST(a_port_forgets_half_a_request_of_a_host_that_left)
{
    g_clear_pointer(&session, session_free);
    hang_up();
    open_session(SESSION_SURVIVES_HANGUP);
    send_text(COUNT "{\"execute\": ");
    hang_up();
    WAIT_UNTIL(counted == 1);
    settle();
    ck_assert(!ended);
}
END_TEST

START_TEST(a_descriptor_that_cannot_be_watched_is_an_error)
{
    g_autoptr(GError) error = NULL;
    SessionOptions options = {.fd = open("/dev/null", O_RDWR | O_CLOEXEC),
                              .name = "/dev/null",
                              .stall_timeout_ms = STALL_TIMEOUT_MS};
    ck_assert_ptr_null(session_new(agent.dispatch, &options, on_ended, NULL, &error));
    ck_assert_str_eq(error->message, "cannot watch /dev/null: Operation not permitted");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *tests = tcase_create("session");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, requests_are_answered_without_a_newline);
    tcase_add_test(tests, a_request_split_at_any_byte_is_one_request);
    tcase_add_test(tests, requests_in_one_write_are_answered_in_order);
    tcase_add_test(tests, more_requests_than_one_turn_takes_are_all_answered);
    tcase_add_test(tests, garbage_costs_one_error_and_no_connection);
    tcase_add_test(tests, while_a_command_is_under_way_nothing_else_is_carried_out);
    tcase_add_test(tests, while_a_command_is_under_way_nothing_is_read);
    tcase_add_test(tests, a_command_finishes_for_a_host_that_left);
    tcase_add_test(tests, a_session_may_be_freed_while_a_command_is_under_way);
    tcase_add_test(tests, what_a_host_sent_before_it_left_is_carried_out);
    tcase_add_test(tests, a_host_that_only_stopped_sending_gets_its_replies);
    tcase_add_test(tests, a_large_reply_arrives_whole_and_then_the_next);
    tcase_add_test(tests, unread_replies_hold_back_further_requests);
    tcase_add_test(tests, a_socket_whose_host_stops_reading_is_closed);
    tcase_add_test(tests, a_slow_reader_is_not_given_up);
    tcase_add_test(tests, a_port_whose_host_stops_reading_is_resynchronised);
    tcase_add_test(tests, a_port_forgets_half_a_request_of_a_host_that_left);
    tcase_add_test(tests, a_descriptor_that_cannot_be_watched_is_an_error);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
