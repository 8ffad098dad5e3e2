/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-history.h"
#include "agent/freeze-report.h"
#include "agent/freeze-window.h"

#include <check.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <json-c/json.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A window of two filesystems, frozen and thawed as asked, for the tests to spoil. */
typedef struct {
    FreezeWindow *window;
    FreezeBoard *board;
    int board_fd;
} Fixture;

static Fixture f;

static void add_target(FreezePlan *plan, const char *mount_point)
{
    FreezeTarget *target = g_new0(FreezeTarget, 1);

    target->mount_point = g_strdup(mount_point);
    target->fs_type = g_strdup("xfs");
    target->source = g_strdup("/dev/vdb");
    target->aliases = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(plan->targets, target);
    plan->waves = 1;
}

static void set_up(void)
{
    FreezeOptions options = {.freeze_timeout_us = 30000000, .hold_timeout_us = 60000000};

    f.window = freeze_window_new("guest-fsfreeze-freeze", &options);
    f.window->plan = freeze_plan_new();
    add_target(f.window->plan, "/srv");
    add_target(f.window->plan, "/home");
    f.board = freeze_board_new(f.window->plan, &options, &f.board_fd, NULL);
    f.window->board = f.board;
    f.window->was_frozen = true;
    f.board->frozen_at = f.window->began_at + 1000;
    f.board->thawing_at = f.board->frozen_at + 5000;
    f.board->thawed_at = f.board->thawing_at + 10;
    for (unsigned i = 0; i < 2; i++) {
        atomic_store(&f.board->slots[i].outcome, FREEZE_THAWED);
        f.board->slots[i].frozen_at = f.board->frozen_at;
        f.board->slots[i].thawed_at = f.board->thawed_at;
    }
}

static void tear_down(void)
{
    freeze_window_free(f.window);
    freeze_board_unmap(f.board);
    close(f.board_fd);
}

static void assert_broken(const char *part)
{
    g_autofree char *reason = freeze_window_broken_reason(f.window);

    ck_assert_msg(reason && strstr(reason, part), "'%s' not in '%s'", part, reason ? reason : "");
}

START_TEST(a_window_that_the_host_ended_is_intact)
{
    ck_assert_ptr_null(freeze_window_broken_reason(f.window));
    ck_assert_uint_eq(freeze_window_count(f.window, FREEZE_THAWED), 2);
    ck_assert_int_eq(freeze_window_held_us(f.window), 5000);
}
END_TEST

START_TEST(whatever_else_ends_a_window_breaks_it)
{
    atomic_store(&f.board->end, FREEZE_END_HOLD_TIMEOUT);
    assert_broken("hold-timeout of 60 s");
    atomic_store(&f.board->end, FREEZE_END_FREEZER_DIED);
    assert_broken("the freezer process died");
    atomic_store(&f.board->end, FREEZE_END_DAEMON_DIED);
    assert_broken("the agent died");
    atomic_store(&f.board->end, FREEZE_END_REQUESTED);
    f.window->ended_by_agent = true;
    assert_broken("the agent was ended");
}
END_TEST

START_TEST(one_filesystem_that_somebody_else_thawed_breaks_the_window)
{
    atomic_store(&f.board->slots[1].outcome, FREEZE_THAWED_BY_OTHERS);
    assert_broken("/home (xfs on /dev/vdb) was thawed by somebody else");
    ck_assert_uint_eq(freeze_window_count(f.window, FREEZE_THAWED), 1);
}
END_TEST

START_TEST(a_freeze_error_names_the_filesystem_and_the_cause)
{
    atomic_store(&f.board->slots[1].outcome, FREEZE_FAILED);
    atomic_store(&f.board->slots[1].error_number, EIO);
    g_strlcpy(f.board->slots[1].failed_call, "FIFREEZE", sizeof f.board->slots[1].failed_call);
    g_autoptr(GError) error = freeze_window_freeze_error(f.window);
    ck_assert_str_eq(error->message, "cannot freeze /home (xfs on /dev/vdb): Input/output error");
}
END_TEST

START_TEST(a_late_freeze_names_the_deadline)
{
    atomic_store(&f.board->slots[0].outcome, FREEZE_FREEZING);
    atomic_store(&f.board->slots[0].error_number, ETIMEDOUT);
    g_autoptr(GError) error = freeze_window_freeze_error(f.window);
    ck_assert_ptr_nonnull(strstr(error->message, "/srv (xfs on /dev/vdb)"));
    ck_assert_ptr_nonnull(strstr(error->message, "freeze-timeout of 30 s"));
}
END_TEST

START_TEST(a_thaw_that_has_not_returned_is_an_error_and_a_done_one_is_none)
{
    ck_assert_ptr_null(freeze_window_thaw_error(f.window));
    atomic_store(&f.board->slots[0].outcome, FREEZE_THAWING);
    g_autoptr(GError) error = freeze_window_thaw_error(f.window);
    ck_assert_ptr_nonnull(strstr(error->message, "cannot thaw /srv (xfs on /dev/vdb)"));
}
END_TEST

START_TEST(only_what_was_not_mounted_before_is_not_covered)
{
    g_autoptr(MountTable) before = mount_table_new();
    g_autoptr(MountTable) after = mount_table_new();
    FreezePlan *freezable = freeze_plan_new();

    freeze_window_set_plan(f.window, f.window->plan, before);
    add_target(freezable, "/new");
    freeze_window_note_changes(f.window, after, freezable);
    ck_assert_uint_eq(f.window->not_covered->targets->len, 1);
}
END_TEST

START_TEST(a_superblock_that_was_not_mounted_before_is_noticed)
{
    g_autoptr(MountTable) before = mount_table_new();
    g_autoptr(MountTable) after = mount_table_new();
    g_autofree char *path = g_strdup("/tmp/quiesced-test-XXXXXX");
    int fd = g_mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(g_file_set_contents(path, "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n", -1, NULL));
    ck_assert(mount_table_add_file(before, path, 0, NULL));
    freeze_window_set_plan(f.window, f.window->plan, before);
    ck_assert(freeze_window_knows_all(f.window, before));
    ck_assert(g_file_set_contents(path, "21 1 8:2 / / rw - ext4 /dev/sda2 rw\n", -1, NULL));
    ck_assert(mount_table_add_file(after, path, 0, NULL));
    unlink(path);
    ck_assert(!freeze_window_knows_all(f.window, after));
}
END_TEST

/* ---- the history ---- */

static json_object *history_array(const FreezeHistory *history, unsigned count)
{
    g_autoptr(JsonWriter) writer = json_writer_new();

    freeze_history_write(history, writer, NULL, count);
    return json_tokener_parse(json_writer_text(writer, NULL));
}

static size_t history_length(const FreezeHistory *history, unsigned count)
{
    json_object *array = history_array(history, count);
    size_t length = json_object_array_length(array);

    json_object_put(array);
    return length;
}

START_TEST(the_history_keeps_the_newest_windows_over_a_restart)
{
    g_autofree char *directory = g_dir_make_tmp("quiesced-history-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "history", NULL);
    g_autoptr(FreezeHistory) history = freeze_history_new(path);

    for (unsigned i = 0; i < FREEZE_HISTORY_WINDOWS + 5; i++)
        freeze_history_add(history, f.window, NULL, i % 10 == 0 || i == FREEZE_HISTORY_WINDOWS + 4);
    freeze_history_add_lost(history, "quiesce-freeze", 1, 2, "lost");
    g_autoptr(FreezeHistory) again = freeze_history_new(path);
    ck_assert_uint_eq(history_length(again, 1000), FREEZE_HISTORY_WINDOWS);
    ck_assert_uint_eq(history_length(again, 2), 2);
    json_object *array = history_array(again, 1);
    json_object *reason = NULL;
    ck_assert(
        json_object_object_get_ex(json_object_array_get_idx(array, 0), "broken-reason", &reason));
    ck_assert_str_eq(json_object_get_string(reason), "lost");
    json_object_put(array);
    g_unlink(path);
    g_rmdir(directory);
}
END_TEST

START_TEST(damaged_lines_of_the_history_cost_only_themselves)
{
    g_autofree char *directory = g_dir_make_tmp("quiesced-history-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "history", NULL);

    ck_assert(g_file_set_contents(path, "{\"command\": \"a\"}\n{\"comm\n[]\n{\"command\": \"b\"}\n",
                                  -1, NULL));
    g_autoptr(FreezeHistory) history = freeze_history_new(path);
    ck_assert_uint_eq(history_length(history, 10), 2);
    g_unlink(path);
    g_rmdir(directory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("freeze-window");
    TCase *tests = tcase_create("freeze-window");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_window_that_the_host_ended_is_intact);
    tcase_add_test(tests, whatever_else_ends_a_window_breaks_it);
    tcase_add_test(tests, one_filesystem_that_somebody_else_thawed_breaks_the_window);
    tcase_add_test(tests, a_freeze_error_names_the_filesystem_and_the_cause);
    tcase_add_test(tests, a_late_freeze_names_the_deadline);
    tcase_add_test(tests, a_thaw_that_has_not_returned_is_an_error_and_a_done_one_is_none);
    tcase_add_test(tests, only_what_was_not_mounted_before_is_not_covered);
    tcase_add_test(tests, a_superblock_that_was_not_mounted_before_is_noticed);
    tcase_add_test(tests, the_history_keeps_the_newest_windows_over_a_restart);
    tcase_add_test(tests, damaged_lines_of_the_history_cost_only_themselves);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
