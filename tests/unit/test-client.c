/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/client.h"

#include <check.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* For calls that shall succeed, on a machine that may be busy; and for those that shall not. */
#define PATIENCE_MS 30000
#define IMPATIENCE_MS 150

/* The other end of a socket pair, played by a thread. The scripts below are its parts. */
typedef void (*Script)(int fd);

typedef struct {
    int fd;
    Script script;
    GThread *thread;
    Client *client;
} Pair;

static Pair pair;

static gpointer play(gpointer data)
{
    pair.script(pair.fd);
    shutdown(pair.fd, SHUT_RDWR);
    return NULL;
}

static Client *begin(Script script)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pair = (Pair){.fd = fds[1], .script = script, .client = client_new(fds[0], "the pair")};
    pair.thread = g_thread_new("peer", play, NULL);
    return pair.client;
}

static void end(void)
{
    if (pair.thread == NULL)
        return;
    g_clear_pointer(&pair.client, client_free);
    g_thread_join(pair.thread);
    close(pair.fd);
}

/* Up to the newline, without it; NULL at the end. */
static char *hear(int fd)
{
    GString *line = g_string_new(NULL);
    char byte = 0;

    while (read(fd, &byte, 1) == 1) {
        if (byte == '\n')
            return g_string_free(line, FALSE);
        g_string_append_c(line, byte);
    }
    g_string_free(line, TRUE);
    return NULL;
}

static void say(int fd, const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        text += sent;
        length -= (size_t)sent;
    }
}

/* Hears one request, which must be this one. */
static void expect(int fd, const char *expected)
{
    g_autofree char *line = hear(fd);
    g_assert_cmpstr(line, ==, expected);
}

/* Hears a sync and returns its id. */
static int64_t hear_sync(int fd)
{
    static const char start[] =
        "\xff{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": ";
    g_autofree char *line = hear(fd);

    g_assert_nonnull(line);
    g_assert_true(g_str_has_prefix(line, start));
    return g_ascii_strtoll(line + strlen(start), NULL, 10);
}

static void say_synced(int fd, int64_t id)
{
    g_autofree char *reply = g_strdup_printf("\xff{\"return\": %" G_GINT64_FORMAT "}\n", id);
    say(fd, reply);
}

static void obey_sync(int fd)
{
    say_synced(fd, hear_sync(fd));
}

static void obey_ping(int fd)
{
    expect(fd, "{\"execute\": \"guest-ping\"}");
    say(fd, "{\"return\": {}}\n");
}

static void stay_until_closed(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static void assert_ping_works(Client *client)
{
    g_autoptr(GError) error = NULL;
    json_object *value = client_call(client, "guest-ping", NULL, PATIENCE_MS, &error);

    ck_assert_msg(error == NULL, "%s", error != NULL ? error->message : "");
    ck_assert_int_eq(json_object_get_type(value), json_type_object);
    json_object_put(value);
}

/* A ping that fails; the message is the caller's to free. */
static char *ping_error(Client *client, int64_t timeout_ms, ClientError code)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(client_call(client, "guest-ping", NULL, timeout_ms, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(g_error_matches(error, CLIENT_ERROR, (int)code), "%d %s", error->code,
                  error->message);
    return g_strdup(error->message);
}

static void assert_contains(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in '%s'", part, text);
}

static void three_answers(int fd)
{
    expect(fd, "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 5, \"s\": \"\\n\"}}");
    say(fd, "{\"return\": 5}\n");
    expect(fd, "{\"execute\": \"nothing\"}");
    say(fd, "{\"return\": null}\n");
    obey_ping(fd);
}

START_TEST(a_call_returns_the_value_of_return)
{
    Client *client = begin(three_answers);
    g_autoptr(GError) error = NULL;
    json_object *arguments = json_tokener_parse("{\"id\": 5, \"s\": \"\\n\"}");
    json_object *value = client_call(client, "guest-sync", arguments, PATIENCE_MS, &error);

    ck_assert_ptr_null(error);
    ck_assert_int_eq(json_object_get_int64(value), 5);
    json_object_put(value);
    json_object_put(arguments);
    ck_assert_ptr_null(client_call(client, "nothing", NULL, -1, &error));
    ck_assert_ptr_null(error);
    assert_ping_works(client);
}
END_TEST

static void two_errors(int fd)
{
    g_free(hear(fd));
    say(fd, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"not here\"}}\n");
    obey_ping(fd);
    g_free(hear(fd));
    say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"a\\u001b[2Jb\"}, \"id\": 1}\n");
    obey_ping(fd);
}

START_TEST(the_agents_errors_keep_class_and_text)
{
    Client *client = begin(two_errors);

    g_autofree char *not_found = ping_error(client, PATIENCE_MS, CLIENT_ERROR_COMMAND_NOT_FOUND);
    ck_assert_str_eq(not_found, "not here");
    assert_ping_works(client);
    g_autofree char *generic = ping_error(client, PATIENCE_MS, CLIENT_ERROR_REPLY);
    ck_assert_str_eq(generic, "a\\u001b[2Jb");
    assert_ping_works(client);
}
END_TEST

static void long_error(int fd)
{
    g_free(hear(fd));
    g_autofree char *desc = g_strnfill(1024 * 1024, 'x');
    g_autofree char *reply = g_strdup_printf("{\"error\": {\"desc\": \"%s\"}}\n", desc);
    say(fd, reply);
}

START_TEST(an_endless_error_text_is_cut_short)
{
    g_autofree char *message = ping_error(begin(long_error), PATIENCE_MS, CLIENT_ERROR_REPLY);
    ck_assert_uint_lt(strlen(message), 2000);
}
END_TEST

static void stale_then_synced(int fd)
{
    say(fd, "\"}}\n{\"return\": 1}\n{\"error\": {\"class\": \"GenericError\", \"desc\": \"old\"}}\n"
            "[]\n\xff{\"return\": 7}\n{\"return\": {\"half\"");
    say_synced(fd, hear_sync(fd));
    obey_ping(fd);
}

START_TEST(sync_throws_away_what_an_earlier_user_left_behind)
{
    Client *client = begin(stale_then_synced);
    g_autoptr(GError) error = NULL;

    ck_assert_msg(client_sync(client, PATIENCE_MS, &error), "%s", error->message);
    assert_ping_works(client);
}
END_TEST

/* As qemu-ga does: it answers the delimiter too. */
static void sync_like_qemu_ga(int fd)
{
    int64_t id = hear_sync(fd);
    say(fd, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\n");
    say_synced(fd, id);
    obey_ping(fd);
}

START_TEST(sync_skips_the_error_that_answers_the_delimiter)
{
    Client *client = begin(sync_like_qemu_ga);
    g_autoptr(GError) error = NULL;

    ck_assert_msg(client_sync(client, PATIENCE_MS, &error), "%s", error->message);
    assert_ping_works(client);
}
END_TEST

static void refuse_sync(int fd)
{
    g_free(hear(fd));
    say(fd, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"sync is disabled\"}}\n");
    stay_until_closed(fd);
}

START_TEST(a_sync_without_success_tells_what_came_instead)
{
    Client *client = begin(refuse_sync);
    g_autoptr(GError) error = NULL;

    ck_assert(!client_sync(client, IMPATIENCE_MS, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT));
    assert_contains(error->message, "sync is disabled");
}
END_TEST

static void greet_as_qmp(int fd)
{
    say(fd, "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\n");
    stay_until_closed(fd);
}

START_TEST(a_qmp_socket_is_told_from_an_agent_at_once)
{
    Client *client = begin(greet_as_qmp);
    g_autoptr(GError) error = NULL;

    ck_assert(!client_sync(client, PATIENCE_MS, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_NO_AGENT));
    assert_contains(error->message, "QMP");
}
END_TEST

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

static json_object *large_arguments(void)
{
    json_object *arguments = json_object_new_object();
    g_autofree char *letters = g_strnfill(4 * 1024 * 1024, 'A');

    json_object_object_add(arguments, "buf-b64", json_object_new_string(letters));
    return arguments;
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

static void answer_large(int fd)
{
    g_autofree char *letters = g_strnfill(16 * 1024 * 1024, 'A');
    g_autofree char *request = hear(fd);

    g_assert_cmpuint(strlen(request), >, 4 * 1024 * 1024);
    say(fd, "{\"return\": \"");
    say(fd, letters);
    say(fd, "\"}\n");
}

START_TEST(large_requests_and_replies_pass)
{
    g_autoptr(GError) error = NULL;
    json_object *arguments = large_arguments();
    json_object *value =
        client_call(begin(answer_large), "guest-file-write", arguments, PATIENCE_MS, &error);

    ck_assert_msg(error == NULL, "%s", error != NULL ? error->message : "");
    ck_assert_int_eq(json_object_get_string_len(value), 16 * 1024 * 1024);
    json_object_put(value);
    json_object_put(arguments);
}
END_TEST

/* A listening socket in a directory of its own. */
static char *listen_somewhere(int *fd)
{
    g_autofree char *directory = g_dir_make_tmp("quiesced-XXXXXX", NULL);
    char *path = g_build_filename(directory, "socket", NULL);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(*fd, (struct sockaddr *)&address, sizeof address), 0);
    return path;
}

static void remove_socket(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);

    g_unlink(path);
    g_rmdir(directory);
}

static char *connect_error(const char *path)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(client_connect_unix(path, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED));
    assert_contains(error->message, path);
    return g_strdup(error->message);
}

START_TEST(an_error_to_connect_names_the_path_and_the_cause)
{
    int fd = -1;
    g_autofree char *path = listen_somewhere(&fd);
    g_autofree char *long_path = g_strnfill(200, 'x');

    g_autofree char *refused = connect_error(path);
    assert_contains(refused, g_strerror(ECONNREFUSED));
    g_autofree char *too_long = connect_error(long_path);
    assert_contains(too_long, "symbolic link");
    close(fd);
    remove_socket(path);
    g_autofree char *missing = connect_error(path);
    assert_contains(missing, g_strerror(ENOENT));
}
END_TEST

START_TEST(connecting_does_not_wait_in_a_queue)
{
    int fd = -1;
    g_autofree char *path = listen_somewhere(&fd);
    g_autoptr(GError) error = NULL;

    ck_assert_int_eq(listen(fd, 0), 0);
    g_autoptr(Client) first = client_connect_unix(path, &error);
    ck_assert_ptr_nonnull(first);
    g_autofree char *message = connect_error(path);
    assert_contains(message, "others are waiting");
    close(fd);
    remove_socket(path);
}
END_TEST

START_TEST(a_vsock_without_a_listener_is_an_error)
{
    g_autoptr(GError) error = NULL;

    /* With or without vsock in this kernel. */
    ck_assert_ptr_null(client_connect_vsock(0x7ffffff0, 9, &error));
    ck_assert(g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED));
    assert_contains(error->message, "vsock 2147483632:9");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tests = tcase_create("client");

    tcase_add_checked_fixture(tests, NULL, end);
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, a_call_returns_the_value_of_return);
    tcase_add_test(tests, the_agents_errors_keep_class_and_text);
    tcase_add_test(tests, an_endless_error_text_is_cut_short);
    tcase_add_test(tests, sync_throws_away_what_an_earlier_user_left_behind);
    tcase_add_test(tests, sync_skips_the_error_that_answers_the_delimiter);
    tcase_add_test(tests, a_sync_without_success_tells_what_came_instead);
    tcase_add_test(tests, a_qmp_socket_is_told_from_an_agent_at_once);
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
    tcase_add_test(tests, large_requests_and_replies_pass);
    tcase_add_test(tests, an_error_to_connect_names_the_path_and_the_cause);
    tcase_add_test(tests, connecting_does_not_wait_in_a_queue);
    tcase_add_test(tests, a_vsock_without_a_listener_is_an_error);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
