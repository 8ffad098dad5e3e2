/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client-fixture.h"

#include <glib/gstdio.h>
#include <sys/un.h>

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
