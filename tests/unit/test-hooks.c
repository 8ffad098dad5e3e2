/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/hooks.h"
#include "agent/log.h"

#include <check.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_MS 20000 /* a noisy machine's patience, not a figure */

static char *directory; /* of the hooks */
static char *trace;     /* file to which the scripts write */

static void setup(void)
{
    directory = g_dir_make_tmp("test-hooks-XXXXXX", NULL);
    ck_assert_ptr_nonnull(directory);
    trace = g_strconcat(directory, ".trace", NULL);
}

static void teardown(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf %s %s", directory, trace);
    ck_assert_int_eq(system(command), 0);
    g_clear_pointer(&directory, g_free);
    g_clear_pointer(&trace, g_free);
}

/* script: the lines of a shell script, $TRACE is the trace file. Returns the path. */
static char *write_hook(const char *name, int mode, const char *script)
{
    char *path = g_build_filename(directory, name, NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nTRACE=%s\n%s\n", trace, script);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    ck_assert_int_eq(g_chmod(path, mode), 0);
    return path;
}

#define TELL "echo $(basename $0) $1 >>$TRACE"

static void write_telling_hook(const char *name)
{
    g_free(write_hook(name, 0755, TELL));
}

static char *read_trace(void)
{
    char *text = NULL;
    return g_file_get_contents(trace, &text, NULL, NULL) ? text : g_strdup("");
}

static void assert_trace(const char *expected)
{
    g_autofree char *text = read_trace();
    ck_assert_str_eq(text, expected);
}

/* How a run ended, copied out of the callback. */
typedef struct {
    bool done;
    bool ok;
    char *error;
    GPtrArray *lines; /* "PATH ok" or the error text, per result */
    int64_t first_duration_us;
} Outcome;

static void outcome_clear(Outcome *outcome)
{
    g_free(outcome->error);
    if (outcome->lines != NULL)
        g_ptr_array_unref(outcome->lines);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

static void on_done(const GPtrArray *results, const GError *error, void *user_data)
{
    Outcome *outcome = user_data;
    ck_assert(!outcome->done);
    outcome->done = true;
    outcome->ok = error == NULL;
    outcome->error = error != NULL ? g_strdup(error->message) : NULL;
    outcome->lines = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < results->len; i++) {
        const HookResult *result = results->pdata[i];
        ck_assert_int_eq(result->ok, result->error_text == NULL);
        g_ptr_array_add(outcome->lines, result->ok ? g_strconcat(result->path, " ok", NULL)
                                                   : g_strdup(result->error_text));
        if (i == 0)
            outcome->first_duration_us = result->duration_us;
    }
}

static gboolean on_timeout(void *user_data)
{
    ck_abort_msg("the hooks did not end");
    return G_SOURCE_REMOVE;
}

static void wait_for(const bool *condition)
{
    guint timeout = g_timeout_add(WAIT_MS, on_timeout, NULL);
    while (!*condition)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timeout);
}

static void run_freeze(Hooks *hooks, bool stop_at_failure, Outcome *outcome)
{
    hooks_run_freeze(hooks, stop_at_failure, on_done, outcome);
    ck_assert(!outcome->done);
    wait_for(&outcome->done);
}

static void run_thaw(Hooks *hooks, Outcome *outcome)
{
    hooks_run_thaw(hooks, on_done, outcome);
    ck_assert(!outcome->done);
    wait_for(&outcome->done);
}

static gboolean note_time(void *user_data)
{
    *(bool *)user_data = true;
    return G_SOURCE_REMOVE;
}

static void let_loop_run(unsigned ms)
{
    bool passed = false;
    g_timeout_add(ms, note_time, &passed);
    wait_for(&passed);
}

static void wait_for_line(const char *path)
{
    g_autofree char *text = NULL;
    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 5) {
        g_free(text);
        if (!g_file_get_contents(path, &text, NULL, NULL))
            text = NULL;
        if (text != NULL && g_str_has_suffix(text, "\n"))
            return;
        let_loop_run(5);
    }
    ck_abort_msg("nothing was written to %s", path);
}

static bool process_lives(const char *pid_file)
{
    g_autofree char *text = NULL;
    ck_assert(g_file_get_contents(pid_file, &text, NULL, NULL));
    g_autofree char *status_path = g_strdup_printf("/proc/%d/stat", atoi(text));
    g_autofree char *status = NULL;
    /* A killed process may stay a zombie until init reaps it. */
    return g_file_get_contents(status_path, &status, NULL, NULL) && strstr(status, ") Z ") == NULL;
}

/* A process that was sent SIGKILL dies in its own time. */
static void wait_for_death(const char *pid_file)
{
    int64_t deadline = g_get_monotonic_time() + WAIT_MS * 1000;
    while (process_lives(pid_file) && g_get_monotonic_time() < deadline)
        let_loop_run(5);
    ck_assert(!process_lives(pid_file));
}

static bool log_has(const char *text)
{
    g_auto(GStrv) lines = log_tail(10000);
    for (char **line = lines; *line != NULL; line++)
        if (strstr(*line, text) != NULL)
            return true;
    return false;
}

START_TEST(without_a_hook_both_runs_succeed)
{
    g_autoptr(Hooks) hooks = hooks_new(NULL, 1000);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    run_freeze(hooks, true, &freeze);
    run_thaw(hooks, &thaw);
    ck_assert(freeze.ok && thaw.ok);
    ck_assert_uint_eq(freeze.lines->len, 0);
}
END_TEST

START_TEST(a_single_program_is_run_with_freeze_and_then_with_thaw)
{
    g_autofree char *path = write_hook("hook", 0755, TELL);
    g_autoptr(Hooks) hooks = hooks_new(path, 10000);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    run_freeze(hooks, true, &freeze);
    assert_trace("hook freeze\n");
    run_thaw(hooks, &thaw);
    assert_trace("hook freeze\nhook thaw\n");
    ck_assert(freeze.ok && thaw.ok);
    ck_assert_uint_eq(freeze.lines->len, 1);
    ck_assert_int_gt(freeze.first_duration_us, 0);
}
END_TEST

START_TEST(a_directory_is_run_by_name_and_thawed_in_reverse)
{
    write_telling_hook("20-b");
    write_telling_hook("10-a");
    write_telling_hook("30-c");
    g_autoptr(Hooks) hooks = hooks_new(directory, 10000);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    run_freeze(hooks, true, &freeze);
    assert_trace("10-a freeze\n20-b freeze\n30-c freeze\n");
    g_unlink(trace);
    run_thaw(hooks, &thaw);
    assert_trace("30-c thaw\n20-b thaw\n10-a thaw\n");
}
END_TEST

START_TEST(what_is_no_hook_in_the_directory_is_left_alone)
{
    static const char *const names[] = {"a~", "a.bak", "a.dpkg-old", "a.rpmsave", ".hidden", NULL};
    for (int i = 0; names[i] != NULL; i++)
        write_telling_hook(names[i]);
    g_free(write_hook("not-executable", 0644, TELL));
    g_autofree char *subdirectory = g_build_filename(directory, "subdirectory", NULL);
    g_mkdir(subdirectory, 0755);
    write_telling_hook("real.sh");
    g_autoptr(Hooks) hooks = hooks_new(directory, 10000);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert(freeze.ok);
    assert_trace("real.sh freeze\n");
}
END_TEST

START_TEST(a_missing_hook_is_an_error_that_names_it_and_nothing_is_thawed)
{
    g_autoptr(Hooks) hooks = hooks_new("/nonexistent/hook", 1000);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert_str_eq(freeze.error,
                     "cannot run the fsfreeze hook /nonexistent/hook: No such file or directory");
    run_thaw(hooks, &thaw);
    ck_assert(thaw.ok);
    ck_assert_uint_eq(thaw.lines->len, 0);
}
END_TEST

START_TEST(a_failure_stops_the_run_and_those_started_are_thawed)
{
    write_telling_hook("1");
    g_free(write_hook("2", 0755, TELL "; echo no route >&2; [ $1 = thaw ] || exit 3"));
    write_telling_hook("3");
    g_autoptr(Hooks) hooks = hooks_new(directory, 10000);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    run_freeze(hooks, true, &freeze);
    g_autofree char *expected =
        g_strdup_printf("hook %s/2 freeze: exit status 3: no route", directory);
    ck_assert_str_eq(freeze.error, expected);
    ck_assert_uint_eq(freeze.lines->len, 2);
    run_thaw(hooks, &thaw);
    ck_assert(thaw.ok);
    assert_trace("1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
}
END_TEST

START_TEST(a_failure_that_may_be_ignored_does_not_stop_the_run)
{
    g_free(write_hook("1", 0755, "exit 1"));
    g_free(write_hook("2", 0755, "kill -SEGV $$"));
    write_telling_hook("3");
    g_autoptr(Hooks) hooks = hooks_new(directory, 10000);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, false, &freeze);
    ck_assert_uint_eq(freeze.lines->len, 3);
    ck_assert_ptr_nonnull(strstr(freeze.error, "1 freeze: exit status 1 (and 1 more)"));
    ck_assert_ptr_nonnull(strstr(freeze.lines->pdata[1], "killed by signal 11"));
    assert_trace("3 freeze\n");
}
END_TEST

START_TEST(a_failing_thaw_does_not_keep_others_from_being_thawed)
{
    write_telling_hook("1");
    g_free(write_hook("2", 0755, "[ $1 = freeze ]"));
    g_autoptr(Hooks) hooks = hooks_new(directory, 10000);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    run_freeze(hooks, true, &freeze);
    run_thaw(hooks, &thaw);
    ck_assert(!thaw.ok);
    assert_trace("1 freeze\n1 thaw\n");
}
END_TEST

START_TEST(a_hook_is_thawed_once)
{
    write_telling_hook("1");
    g_autoptr(Hooks) hooks = hooks_new(directory, 10000);
    g_auto(Outcome) freeze = {0}, first = {0}, second = {0};
    run_freeze(hooks, true, &freeze);
    run_thaw(hooks, &first);
    run_thaw(hooks, &second);
    assert_trace("1 freeze\n1 thaw\n");
}
END_TEST

START_TEST(a_program_that_cannot_be_run_is_an_error_with_the_cause)
{
    g_autofree char *path = g_build_filename(directory, "hook", NULL);
    ck_assert(g_file_set_contents(path, "no first line\n", -1, NULL));
    g_chmod(path, 0755);
    g_autoptr(Hooks) hooks = hooks_new(path, 10000);
    g_auto(Outcome) no_script = {0}, no_permission = {0};
    run_freeze(hooks, true, &no_script);
    ck_assert_ptr_nonnull(strstr(no_script.error, "cannot be run: Exec format error"));
    g_chmod(path, 0644);
    run_freeze(hooks, true, &no_permission);
    ck_assert_ptr_nonnull(strstr(no_permission.error, "cannot be run: Permission denied"));
}
END_TEST

START_TEST(at_the_deadline_the_whole_group_is_killed)
{
    /* Neither the shell nor its child minds SIGTERM. */
    g_autofree char *path = write_hook(
        "hook", 0755, "trap '' TERM; sleep 1000 & echo $! >$TRACE; echo waiting; wait; sleep 1000");
    bool has_begun = false;
    /* On a busy machine the deadline may be over before the shell has come to its first line. */
    for (int timeout_ms = 500; !has_begun && timeout_ms < WAIT_MS; timeout_ms *= 2) {
        g_autoptr(Hooks) hooks = hooks_new(path, timeout_ms);
        g_auto(Outcome) freeze = {0};
        g_autofree char *expected =
            g_strdup_printf("still running after %g s: killed", timeout_ms / 1000.0);
        run_freeze(hooks, true, &freeze);
        ck_assert_ptr_nonnull(strstr(freeze.error, expected));
        has_begun = strstr(freeze.error, "killed: waiting") != NULL;
    }
    ck_assert(has_begun);
    wait_for_death(trace);
}
END_TEST

START_TEST(a_child_left_in_the_background_holds_nothing_up)
{
    g_autofree char *path =
        write_hook("hook", 0755, "sleep 1000 & echo $! >$TRACE; echo said before the end");
    g_autoptr(Hooks) hooks = hooks_new(path, 15000);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert(freeze.ok);
    ck_assert_int_lt(freeze.first_duration_us, 15 * G_USEC_PER_SEC);
    ck_assert(process_lives(trace));
    ck_assert(log_has("said before the end"));
    g_autofree char *pid = read_trace();
    kill(atoi(pid), SIGKILL);
}
END_TEST

START_TEST(a_background_child_that_goes_on_writing_holds_nothing_up)
{
    g_autofree char *path = write_hook("hook", 0755, "yes & echo $! >$TRACE");
    g_autoptr(Hooks) hooks = hooks_new(path, 15000);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert(freeze.ok);
    g_autofree char *pid = read_trace();
    kill(atoi(pid), SIGKILL);
}
END_TEST

START_TEST(much_output_is_cut_and_does_not_block_the_hook)
{
    g_autofree char *path = write_hook(
        "hook", 0755, "echo begin; head -c 104857600 /dev/zero | tr '\\0' x; echo; echo the end");
    g_autoptr(Hooks) hooks = hooks_new(path, WAIT_MS);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert_msg(freeze.ok, "%s", freeze.error);
    ck_assert(log_has("hook: begin"));
    ck_assert(!log_has("the end"));
    ck_assert(log_has("more bytes of output left out"));
}
END_TEST

START_TEST(a_hook_gets_a_clean_environment)
{
    g_setenv("QUIESCED_TEST_SECRET", "secret", TRUE);
    signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    g_autofree char *path =
        write_hook("hook", 0755,
                   "exec >$TRACE; echo PATH=$PATH secret=$QUIESCED_TEST_SECRET; "
                   "pwd; readlink /proc/self/fd/0; umask; ls /proc/self/fd | wc -l; "
                   "grep SigIgn /proc/self/status; "
                   "cut -d' ' -f5,6 /proc/$$/stat | tr ' ' '\\n' | sort -u | wc -l");
    g_autoptr(Hooks) hooks = hooks_new(path, 10000);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert(freeze.ok);
    assert_trace("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin secret=\n/\n"
                 "/dev/null\n0022\n4\nSigIgn:\t0000000000000000\n1\n");
}
END_TEST

START_TEST(a_hook_starts_with_no_signal_blocked)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    /* Not a shell: it would clear the mask by itself. */
    g_autofree char *path = g_build_filename(directory, "hook", NULL);
    g_autofree char *script = g_strdup_printf(
        "#!/usr/bin/awk -f\nBEGIN { while ((getline line <\"/proc/self/status\") > 0)"
        " if (line ~ /^SigBlk/) print line >\"%s\"; exit }\n",
        trace);
    ck_assert(g_file_set_contents(path, script, -1, NULL));
    g_chmod(path, 0755);
    g_autoptr(Hooks) hooks = hooks_new(path, 10000);
    g_auto(Outcome) freeze = {0};
    run_freeze(hooks, true, &freeze);
    ck_assert_msg(freeze.ok, "%s", freeze.error);
    assert_trace("SigBlk:\t0000000000000000\n");
}
END_TEST

START_TEST(a_thaw_in_the_middle_of_the_freeze_ends_it)
{
    g_autofree char *path =
        write_hook("hook", 0755, TELL "; [ $1 = thaw ] || { echo $$ >$TRACE.pid; sleep 1000; }");
    g_autoptr(Hooks) hooks = hooks_new(path, 0);
    g_auto(Outcome) freeze = {0}, thaw = {0};
    hooks_run_freeze(hooks, true, on_done, &freeze);
    g_autofree char *pid_file = g_strconcat(trace, ".pid", NULL);
    wait_for_line(pid_file);
    run_thaw(hooks, &thaw);
    ck_assert(thaw.ok);
    ck_assert(!freeze.done);
    assert_trace("hook freeze\nhook thaw\n");
    wait_for_death(pid_file);
    g_unlink(pid_file);
}
END_TEST

START_TEST(freeing_the_hooks_kills_what_runs_and_leaves_no_zombie)
{
    g_autofree char *path = write_hook("hook", 0755, "echo $$ >$TRACE; sleep 1000");
    Hooks *hooks = hooks_new(path, 0);
    g_auto(Outcome) freeze = {0};
    hooks_run_freeze(hooks, true, on_done, &freeze);
    wait_for_line(trace);
    hooks_free(hooks);
    int64_t deadline = g_get_monotonic_time() + WAIT_MS * 1000;
    while (waitpid(-1, NULL, WNOHANG) == 0 && g_get_monotonic_time() < deadline)
        let_loop_run(5);
    ck_assert(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    wait_for_death(trace);
    ck_assert(!freeze.done);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hooks");
    TCase *tcase = tcase_create("hooks");
    tcase_set_timeout(tcase, 2 * WAIT_MS / 1000.0);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_a_hook_both_runs_succeed);
    tcase_add_test(tcase, a_single_program_is_run_with_freeze_and_then_with_thaw);
    tcase_add_test(tcase, a_directory_is_run_by_name_and_thawed_in_reverse);
    tcase_add_test(tcase, what_is_no_hook_in_the_directory_is_left_alone);
    tcase_add_test(tcase, a_missing_hook_is_an_error_that_names_it_and_nothing_is_thawed);
    tcase_add_test(tcase, a_failure_stops_the_run_and_those_started_are_thawed);
    tcase_add_test(tcase, a_failure_that_may_be_ignored_does_not_stop_the_run);
    tcase_add_test(tcase, a_failing_thaw_does_not_keep_others_from_being_thawed);
    tcase_add_test(tcase, a_hook_is_thawed_once);
    tcase_add_test(tcase, a_program_that_cannot_be_run_is_an_error_with_the_cause);
    tcase_add_test(tcase, at_the_deadline_the_whole_group_is_killed);
    tcase_add_test(tcase, a_child_left_in_the_background_holds_nothing_up);
    tcase_add_test(tcase, a_background_child_that_goes_on_writing_holds_nothing_up);
    tcase_add_test(tcase, much_output_is_cut_and_does_not_block_the_hook);
    tcase_add_test(tcase, a_hook_gets_a_clean_environment);
    tcase_add_test(tcase, a_hook_starts_with_no_signal_blocked);
    tcase_add_test(tcase, a_thaw_in_the_middle_of_the_freeze_ends_it);
    tcase_add_test(tcase, freeing_the_hooks_kills_what_runs_and_leaves_no_zombie);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
