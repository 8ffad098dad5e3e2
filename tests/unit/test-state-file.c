/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/state-file.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *directory;
static char *path;

static void make_directory(void)
{
    directory = g_dir_make_tmp("quiesced-state-XXXXXX", NULL);
    path = g_build_filename(directory, "run", "quiesced.state", NULL);
}

static void remove_directory(void)
{
    g_autofree char *run = g_path_get_dirname(path);

    g_unlink(path);
    g_rmdir(run);
    g_rmdir(directory);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&directory, g_free);
}

static FreezePlan *plan_of_two(void)
{
    FreezePlan *plan = freeze_plan_new();

    for (unsigned i = 0; i < 2; i++) {
        FreezeTarget *target = g_new0(FreezeTarget, 1);
        target->device = 0x700 + i;
        target->mount_id = (int)(40 + i);
        target->mount_point = g_strdup(i ? "/srv/with space and [bracket]" : "/srv/line\nbreak");
        target->fs_type = g_strdup("ext4");
        target->source = g_strdup("/dev/loop0");
        target->wave = i;
        target->namespace_pid = (pid_t)i * 77;
        target->aliases = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(plan->targets, target);
    }
    plan->waves = 2;
    return plan;
}

static void write_file(void)
{
    g_autoptr(FreezePlan) plan = plan_of_two();
    g_autoptr(FreezePlan) no_stragglers = freeze_plan_new();
    g_autoptr(GError) error = NULL;

    ck_assert_msg(
        state_file_write(path, "guest-fsfreeze-freeze", plan, no_stragglers, 4711, &error), "%s",
        error ? error->message : "");
}

START_TEST(what_is_written_is_read_back_whatever_the_mount_points_are_called)
{
    g_autoptr(FreezePlan) plan = plan_of_two();

    write_file();
    g_autoptr(StateFile) file = state_file_read(path, NULL);
    ck_assert_ptr_nonnull(file);
    ck_assert_str_eq(file->command, "guest-fsfreeze-freeze");
    ck_assert_int_eq(file->freezer_pid, 4711);
    ck_assert_int_eq(file->daemon_pid, getpid());
    ck_assert(!file->thawed);
    ck_assert_uint_eq(file->plan->targets->len, 2);
    ck_assert_uint_eq(file->plan->waves, 2);
    for (unsigned i = 0; i < 2; i++) {
        const FreezeTarget *wanted = g_ptr_array_index(plan->targets, i);
        const FreezeTarget *found = g_ptr_array_index(file->plan->targets, i);
        ck_assert_str_eq(found->mount_point, wanted->mount_point);
        ck_assert_str_eq(found->source, wanted->source);
        ck_assert_uint_eq(found->device, wanted->device);
        ck_assert_int_eq(found->mount_id, wanted->mount_id);
        ck_assert_int_eq(found->namespace_pid, wanted->namespace_pid);
        ck_assert_uint_eq(found->wave, wanted->wave);
    }
}
END_TEST

START_TEST(stragglers_of_earlier_windows_are_named_too_and_first)
{
    g_autoptr(FreezePlan) plan = freeze_plan_new();
    g_autoptr(FreezePlan) stragglers = plan_of_two();

    FreezeTarget *target = g_new0(FreezeTarget, 1);
    target->mount_point = g_strdup("/new");
    target->fs_type = g_strdup("xfs");
    target->source = g_strdup("/dev/vdb");
    target->aliases = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(plan->targets, target);
    ck_assert(state_file_write(path, "quiesce-freeze", plan, stragglers, 4711, NULL));
    g_autoptr(StateFile) file = state_file_read(path, NULL);
    ck_assert_uint_eq(file->plan->targets->len, 3);
    ck_assert_uint_eq(file->plan->waves, 2);
    const FreezeTarget *last = g_ptr_array_index(file->plan->targets, 2);
    ck_assert_str_eq(last->mount_point, "/new");
}
END_TEST

START_TEST(a_filesystem_that_is_left_out_is_named_no_more)
{
    g_autoptr(GError) error = NULL;

    write_file();
    ck_assert(state_file_leave_out(path, 0x700, NULL));
    g_autoptr(StateFile) file = state_file_read(path, NULL);
    ck_assert_uint_eq(file->plan->targets->len, 1);
    const FreezeTarget *left = g_ptr_array_index(file->plan->targets, 0);
    ck_assert_uint_eq(left->device, 0x701);
    ck_assert_str_eq(file->command, "guest-fsfreeze-freeze");
    state_file_remove(path);
    ck_assert(!state_file_leave_out(path, 0x700, &error));
    ck_assert_ptr_nonnull(error);
}
END_TEST

START_TEST(a_word_that_cannot_be_kept_is_an_error_that_names_the_file)
{
    g_autoptr(GError) error = NULL;

    ck_assert(!state_file_keep_word(path, "no thaw came", &error)); /* no directory yet */
    ck_assert_ptr_nonnull(strstr(error->message, path));
}
END_TEST

START_TEST(no_file_is_no_error)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(state_file_read(path, &error));
    ck_assert_ptr_null(error);
}
END_TEST

START_TEST(a_damaged_file_is_an_error_that_names_it)
{
    g_autoptr(GError) error = NULL;

    write_file();
    ck_assert(g_file_set_contents(path, "[window]\n[filesystem 0]\ntype=ext4\n", -1, NULL));
    ck_assert_ptr_null(state_file_read(path, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_ptr_nonnull(strstr(error->message, path));
    ck_assert_ptr_nonnull(strstr(error->message, "[filesystem 0]"));
}
END_TEST

START_TEST(the_word_of_a_thaw_is_kept_with_its_author)
{
    write_file();
    state_file_mark_thawed(path, "its freezer process", 4711, NULL);
    g_autoptr(StateFile) file = state_file_read(path, NULL);
    ck_assert(file->thawed);
    ck_assert_str_eq(file->thawed_by, "its freezer process");
    ck_assert_int_ge(file->thawed_at_us, file->began_at_us);
    ck_assert_uint_eq(file->plan->targets->len, 2);
}
END_TEST

START_TEST(a_freezer_process_marks_only_its_own_window)
{
    write_file();
    state_file_mark_thawed(path, "another", 4712, NULL);
    g_autoptr(StateFile) file = state_file_read(path, NULL);
    ck_assert(!file->thawed);
}
END_TEST

START_TEST(a_word_for_the_host_outlives_the_window)
{
    write_file();
    state_file_remove(path);
    ck_assert(state_file_keep_word(path, "no thaw came", NULL));
    g_autoptr(StateFile) file = state_file_read(path, NULL);
    ck_assert(file->thawed);
    ck_assert_str_eq(file->word, "no thaw came");
    ck_assert_uint_eq(file->plan->targets->len, 0);
}
END_TEST

START_TEST(a_thaw_makes_no_file_where_there_is_none)
{
    state_file_mark_thawed(path, "nobody", 0, NULL);
    ck_assert(!g_file_test(path, G_FILE_TEST_EXISTS));
}
END_TEST

START_TEST(the_file_is_in_use_while_the_freezer_process_is_its_agents_child)
{
    pid_t child = fork();

    if (child == 0) {
        pause();
        _exit(0);
    }
    StateFile file = {.freezer_pid = child, .daemon_pid = getpid()};
    ck_assert(state_file_is_in_use(&file));
    file.daemon_pid = getpid() + 1;
    ck_assert(!state_file_is_in_use(&file));
    file = (StateFile){.freezer_pid = 0, .daemon_pid = getpid()};
    ck_assert(!state_file_is_in_use(&file));
    kill(child, SIGKILL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state-file");
    TCase *tests = tcase_create("state-file");

    tcase_add_checked_fixture(tests, make_directory, remove_directory);
    tcase_add_test(tests, what_is_written_is_read_back_whatever_the_mount_points_are_called);
    tcase_add_test(tests, stragglers_of_earlier_windows_are_named_too_and_first);
    tcase_add_test(tests, a_filesystem_that_is_left_out_is_named_no_more);
    tcase_add_test(tests, a_word_that_cannot_be_kept_is_an_error_that_names_the_file);
    tcase_add_test(tests, no_file_is_no_error);
    tcase_add_test(tests, a_damaged_file_is_an_error_that_names_it);
    tcase_add_test(tests, the_word_of_a_thaw_is_kept_with_its_author);
    tcase_add_test(tests, a_freezer_process_marks_only_its_own_window);
    tcase_add_test(tests, a_word_for_the_host_outlives_the_window);
    tcase_add_test(tests, a_thaw_makes_no_file_where_there_is_none);
    tcase_add_test(tests, the_file_is_in_use_while_the_freezer_process_is_its_agents_child);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
