/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the log share: a directory of their own, a log that is open in it, and ways to
 * read what has been written. */

#include "agent/log.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

#define WAIT_MS 20000 /* a noisy machine's patience, not a figure */

static char *directory;
static char *log_path;
static char *rotated_path;

static inline void setup(void)
{
    directory = g_dir_make_tmp("test-log-XXXXXX", NULL);
    ck_assert_ptr_nonnull(directory);
    log_path = g_build_filename(directory, "log", NULL);
    rotated_path = g_build_filename(directory, "log.1", NULL);
    signal(SIGPIPE, SIG_IGN);
    g_unsetenv("JOURNAL_STREAM");
}

static inline void teardown(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf %s %s.gone", directory, directory);
    ck_assert_int_eq(system(command), 0);
    g_clear_pointer(&directory, g_free);
    g_clear_pointer(&log_path, g_free);
    g_clear_pointer(&rotated_path, g_free);
}

static inline void open_file_log(uint64_t max_bytes)
{
    LogOptions options = {
        .sink = LOG_SINK_FILE, .path = log_path, .max_bytes = max_bytes, .level = LOG_LEVEL_INFO};
    g_autoptr(GError) error = NULL;
    ck_assert_msg(log_open(&options, &error), "%s", error ? error->message : "");
}

static inline void open_log(LogSink sink, const char *path)
{
    LogOptions options = {.sink = sink, .path = path, .level = LOG_LEVEL_INFO};
    ck_assert(log_open(&options, NULL));
}

static inline char *read_file(const char *path)
{
    char *text = NULL;
    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

/* The lines without their time: "info test: text|...". */
static inline char *strip_times(const char *text)
{
    g_autoptr(GRegex) stamp =
        g_regex_new("^(<\\d>)?\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z ",
                    G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *lines = g_regex_replace(stamp, text, -1, 0, "\\1", 0, NULL);
    return g_strdelimit(g_steal_pointer(&lines), "\n", '|');
}

static inline void assert_lines(const char *text, const char *expected)
{
    g_autofree char *actual = strip_times(text);
    ck_assert_str_eq(actual, expected);
}

static inline void assert_file(const char *path, const char *expected)
{
    g_autofree char *text = read_file(path);
    assert_lines(text, expected);
}

static inline gboolean on_timeout(void *user_data)
{
    ck_abort_msg("what was waited for did not happen");
    return G_SOURCE_REMOVE;
}

static inline gboolean wake_up(void *user_data)
{
    return G_SOURCE_CONTINUE;
}

static inline void wait_until(bool (*condition)(void *data), void *data)
{
    guint timeout = g_timeout_add(WAIT_MS, on_timeout, NULL);
    guint ticks = g_timeout_add(10, wake_up, NULL);
    while (!condition(data))
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timeout);
    g_source_remove(ticks);
}

static inline TCase *make_case(const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 2 * WAIT_MS / 1000.0);
    tcase_add_checked_fixture(tcase, setup, teardown);
    return tcase;
}
