/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/output-queue.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int agent_end;
static int host_end;
static OutputQueue *queue;

static void set_up(void)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    agent_end = ends[0];
    host_end = ends[1];
    queue = output_queue_new();
}

static void tear_down(void)
{
    output_queue_free(queue);
    close(agent_end);
    close(host_end);
}

static void push(const char *line)
{
    g_autoptr(GBytes) bytes = g_bytes_new(line, strlen(line));
    output_queue_push(queue, bytes);
}

static void push_large(size_t size)
{
    char *line = g_malloc(size);
    memset(line, 'x', size - 1);
    line[size - 1] = '\n';
    g_autoptr(GBytes) bytes = g_bytes_new_take(line, size);
    output_queue_push(queue, bytes);
}

static OutputQueueResult write_out(void)
{
    size_t written;
    return output_queue_write(queue, agent_end, &written, NULL);
}

/* Everything that is there to read. */
static GString *receive(void)
{
    GString *text = g_string_new(NULL);
    char buffer[65536];
    ssize_t count;
    while ((count = read(host_end, buffer, sizeof buffer)) > 0)
        g_string_append_len(text, buffer, count);
    return text;
}

static void assert_received(const char *expected)
{
    GString *text = receive();
    ck_assert_str_eq(text->str, expected);
    g_string_free(text, TRUE);
}

START_TEST(lines_arrive_in_order)
{
    GString *expected = g_string_new(NULL);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *line = g_strdup_printf("line %d\n", i);
        push(line);
        g_string_append(expected, line);
    }
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    ck_assert_uint_eq(output_queue_length(queue), 0);
    assert_received(expected->str);
    g_string_free(expected, TRUE);
}
END_TEST

START_TEST(a_line_larger_than_the_socket_goes_out_in_parts)
{
    const size_t size = 8 * 1024 * 1024;
    size_t received = 0;
    push_large(size);
    OutputQueueResult result;
    do {
        result = write_out();
        GString *text = receive();
        received += text->len;
        g_string_free(text, TRUE);
        ck_assert_uint_eq(output_queue_length(queue), size - received);
    } while (result == OUTPUT_QUEUE_BLOCKED);
    ck_assert_int_eq(result, OUTPUT_QUEUE_EMPTY);
    ck_assert_uint_eq(received, size);
}
END_TEST

START_TEST(a_full_socket_blocks_nobody)
{
    size_t written;
    push_large(8 * 1024 * 1024);
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_BLOCKED);
    ck_assert_int_eq(output_queue_write(queue, agent_end, &written, NULL), OUTPUT_QUEUE_BLOCKED);
    ck_assert_uint_eq(written, 0);
}
END_TEST

START_TEST(after_a_cut_line_the_next_begins_on_a_line_of_its_own)
{
    push_large(8 * 1024 * 1024);
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_BLOCKED);
    output_queue_abandon(queue);
    ck_assert_uint_eq(output_queue_length(queue), 0);

    GString *cut = receive();
    ck_assert_ptr_null(strchr(cut->str, '\n'));
    g_string_free(cut, TRUE);

    push("next\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    assert_received("\nnext\n");
    push("and on\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    assert_received("and on\n");
}
END_TEST

START_TEST(a_cut_line_is_remembered_through_a_second_giving_up)
{
    push_large(8 * 1024 * 1024);
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_BLOCKED);
    output_queue_abandon(queue);
    push("never written\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_BLOCKED);
    output_queue_abandon(queue);
    g_string_free(receive(), TRUE);

    push("next\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    assert_received("\nnext\n");
}
END_TEST

START_TEST(giving_up_between_lines_adds_nothing)
{
    push("one\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    push("dropped\n");
    output_queue_abandon(queue);
    push("two\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    assert_received("one\ntwo\n");
}
END_TEST

START_TEST(a_new_peer_gets_no_trace_of_the_old_ones_line)
{
    push_large(8 * 1024 * 1024);
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_BLOCKED);
    output_queue_clear(queue);
    g_string_free(receive(), TRUE);

    push("next\n");
    ck_assert_int_eq(write_out(), OUTPUT_QUEUE_EMPTY);
    assert_received("next\n");
}
END_TEST

START_TEST(a_peer_that_left_is_an_error_and_no_signal)
{
    g_autoptr(GError) error = NULL;
    size_t written;
    close(host_end);
    push("to nobody\n");
    ck_assert_int_eq(output_queue_write(queue, agent_end, &written, &error), OUTPUT_QUEUE_FAILED);
    ck_assert_ptr_nonnull(error);
    host_end = open("/dev/null", O_RDONLY | O_CLOEXEC);
}
END_TEST

START_TEST(what_is_no_socket_is_written_too)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    size_t written;
    push("through a pipe\n");
    ck_assert_int_eq(output_queue_write(queue, ends[1], &written, NULL), OUTPUT_QUEUE_EMPTY);
    char buffer[64] = "";
    ck_assert_int_eq(read(ends[0], buffer, sizeof buffer - 1), (int)written);
    ck_assert_str_eq(buffer, "through a pipe\n");
    close(ends[0]);
    close(ends[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output-queue");
    TCase *tests = tcase_create("output-queue");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, lines_arrive_in_order);
    tcase_add_test(tests, a_line_larger_than_the_socket_goes_out_in_parts);
    tcase_add_test(tests, a_full_socket_blocks_nobody);
    tcase_add_test(tests, after_a_cut_line_the_next_begins_on_a_line_of_its_own);
    tcase_add_test(tests, a_cut_line_is_remembered_through_a_second_giving_up);
    tcase_add_test(tests, giving_up_between_lines_adds_nothing);
    tcase_add_test(tests, a_new_peer_gets_no_trace_of_the_old_ones_line);
    tcase_add_test(tests, a_peer_that_left_is_an_error_and_no_signal);
    tcase_add_test(tests, what_is_no_socket_is_written_too);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
