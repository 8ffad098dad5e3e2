/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/hooks.h"

#include "agent/child-process.h"
#include "agent/log.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define TOPIC "hook"

/* What package managers and editors leave in a directory of hooks, as Debian's fsfreeze-hook knows
 * it. */
static const char *const ignored_suffixes[] = {
    "~",          ".bak",      ".orig",        ".rpmnew",      ".rpmorig",
    ".rpmsave",   ".sample",   ".dpkg-old",    ".dpkg-new",    ".dpkg-tmp",
    ".dpkg-dist", ".dpkg-bak", ".dpkg-backup", ".dpkg-remove",
};

/* How much of a failed program's last line of output goes into the error. */
#define LAST_LINE_BYTES 200

struct Hooks {
    char *path;
    int64_t timeout_ms;
    GPtrArray *results; /* of HookResult */
    GPtrArray *started; /* of char *: whose "freeze" was started, in that order */

    /* the run under way */
    const char *verb;
    GPtrArray *queue; /* of char * */
    unsigned next;    /* index into queue */
    bool stop_at_failure;
    ChildProcess *child;
    guint step_source;
    HooksDone done;
    void *user_data;
};

static void hook_result_free(HookResult *result)
{
    g_free(result->path);
    g_free(result->error_text);
    g_free(result);
}

Hooks *hooks_new(const char *path, int64_t timeout_ms)
{
    Hooks *hooks = g_new0(Hooks, 1);
    hooks->path = g_strdup(path);
    hooks->timeout_ms = timeout_ms;
    hooks->results = g_ptr_array_new_with_free_func((GDestroyNotify)hook_result_free);
    hooks->started = g_ptr_array_new_with_free_func(g_free);
    hooks->queue = g_ptr_array_new_with_free_func(g_free);
    return hooks;
}

static void stop_run(Hooks *hooks)
{
    g_clear_handle_id(&hooks->step_source, g_source_remove);
    g_clear_pointer(&hooks->child, child_process_free);
}

void hooks_free(Hooks *hooks)
{
    if (hooks == NULL)
        return;
    stop_run(hooks);
    g_ptr_array_unref(hooks->results);
    g_ptr_array_unref(hooks->started);
    g_ptr_array_unref(hooks->queue);
    g_free(hooks->path);
    g_free(hooks);
}

static bool is_hook(const char *directory, const char *name)
{
    if (name[0] == '.')
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(ignored_suffixes); i++)
        if (g_str_has_suffix(name, ignored_suffixes[i]))
            return false;
    g_autofree char *path = g_build_filename(directory, name, NULL);
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool list_directory(const char *path, GPtrArray *programs, GError **error)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, error);
    if (directory == NULL)
        return false;
    const char *name;
    while ((name = g_dir_read_name(directory)) != NULL)
        if (is_hook(path, name))
            g_ptr_array_add(programs, g_build_filename(path, name, NULL));
    g_ptr_array_sort(programs, compare_paths);
    return true;
}

static bool list_programs(const char *path, GPtrArray *programs, GError **error)
{
    struct stat status;
    if (path == NULL)
        return true;
    if (stat(path, &status) < 0) {
        int cause = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot run the fsfreeze hook %s: %s", path, g_strerror(cause));
        return false;
    }
    if (S_ISDIR(status.st_mode))
        return list_directory(path, programs, error);
    g_ptr_array_add(programs, g_strdup(path));
    return true;
}

static void add_result(Hooks *hooks, const char *path, int64_t duration_us, char *error_text)
{
    HookResult *result = g_new0(HookResult, 1);
    result->path = g_strdup(path);
    result->ok = error_text == NULL;
    result->error_text = error_text;
    result->duration_us = duration_us;
    g_ptr_array_add(hooks->results, result);
    if (error_text != NULL)
        log_error(TOPIC, "%s", error_text);
}

static bool has_failed(const Hooks *hooks)
{
    for (unsigned i = 0; i < hooks->results->len; i++)
        if (!((const HookResult *)hooks->results->pdata[i])->ok)
            return true;
    return false;
}

static GError *sum_up(const Hooks *hooks)
{
    const char *first = NULL;
    unsigned failed = 0;
    for (unsigned i = 0; i < hooks->results->len; i++) {
        const HookResult *result = hooks->results->pdata[i];
        if (result->ok)
            continue;
        first = first != NULL ? first : result->error_text;
        failed++;
    }
    if (failed == 0)
        return NULL;
    g_autofree char *more = failed > 1 ? g_strdup_printf(" (and %u more)", failed - 1) : NULL;
    return g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "%s%s", first, more ? more : "");
}

static gboolean step(void *user_data);

/* From the loop and not at once: the caller of hooks_run_*() has not returned yet, and a program
 * that cannot be started must not end in a recursion. */
static void schedule_step(Hooks *hooks)
{
    hooks->step_source = g_idle_add_full(G_PRIORITY_DEFAULT, step, hooks, NULL);
}

static void log_output(const char *name, const ChildProcessEnd *end)
{
    g_auto(GStrv) lines = g_strsplit(end->output, "\n", -1);
    for (char **line = lines; *line != NULL; line++)
        if (**line != '\0')
            log_info(TOPIC, "%s: %s", name, *line);
    if (end->dropped_bytes > 0)
        log_warning(TOPIC, "%s: %" G_GUINT64_FORMAT " more bytes of output left out", name,
                    end->dropped_bytes);
}

/* The last line of what a program said is mostly why it failed. */
static char *last_line(const char *output)
{
    g_autofree char *text = g_strchomp(g_strdup(output));
    const char *newline = strrchr(text, '\n');
    const char *line = newline != NULL ? newline + 1 : text;
    return *line != '\0' ? g_strdup_printf(": %.*s", LAST_LINE_BYTES, line) : g_strdup("");
}

static void on_child_done(const ChildProcessEnd *end, void *user_data)
{
    Hooks *hooks = user_data;
    const char *path = hooks->queue->pdata[hooks->next++];
    g_autofree char *name = g_path_get_basename(path);
    log_output(name, end);

    char *error_text = NULL;
    if (end->error != NULL) {
        g_autofree char *said = last_line(end->output);
        error_text =
            g_strdup_printf("hook %s %s: %s%s", path, hooks->verb, end->error->message, said);
    } else {
        log_info(TOPIC, "%s %s: done in %.1f ms", path, hooks->verb,
                 (double)end->duration_us / 1000);
    }
    add_result(hooks, path, end->duration_us, error_text);
    g_clear_pointer(&hooks->child, child_process_free);
    schedule_step(hooks);
}

static void finish(Hooks *hooks)
{
    g_autoptr(GError) error = sum_up(hooks);
    hooks->done(hooks->results, error, hooks->user_data);
}

static gboolean step(void *user_data)
{
    Hooks *hooks = user_data;
    hooks->step_source = 0;
    if (hooks->next == hooks->queue->len || (hooks->stop_at_failure && has_failed(hooks))) {
        finish(hooks);
        return G_SOURCE_REMOVE;
    }
    const char *path = hooks->queue->pdata[hooks->next];
    const char *argv[] = {path, hooks->verb, NULL};
    g_autoptr(GError) error = NULL;
    log_debug(TOPIC, "%s %s: started", path, hooks->verb);
    if (g_str_equal(hooks->verb, "freeze"))
        g_ptr_array_add(hooks->started, g_strdup(path));
    hooks->child = child_process_start(argv, hooks->timeout_ms, HOOKS_OUTPUT_BYTES, on_child_done,
                                       hooks, &error);
    if (hooks->child == NULL) {
        hooks->next++;
        add_result(hooks, path, 0,
                   g_strdup_printf("hook %s %s: %s", path, hooks->verb, error->message));
        schedule_step(hooks);
    }
    return G_SOURCE_REMOVE;
}

static void begin_run(Hooks *hooks, const char *verb, bool stop_at_failure, HooksDone done,
                      void *user_data)
{
    stop_run(hooks);
    g_ptr_array_set_size(hooks->results, 0);
    g_ptr_array_set_size(hooks->queue, 0);
    hooks->next = 0;
    hooks->verb = verb;
    hooks->stop_at_failure = stop_at_failure;
    hooks->done = done;
    hooks->user_data = user_data;
    schedule_step(hooks);
}

void hooks_run_freeze(Hooks *hooks, bool stop_at_failure, HooksDone done, void *user_data)
{
    begin_run(hooks, "freeze", stop_at_failure, done, user_data);
    g_ptr_array_set_size(hooks->started, 0);
    g_autoptr(GError) error = NULL;
    if (!list_programs(hooks->path, hooks->queue, &error))
        add_result(hooks, hooks->path, 0, g_strdup(error->message));
}

void hooks_run_thaw(Hooks *hooks, HooksDone done, void *user_data)
{
    begin_run(hooks, "thaw", false, done, user_data);
    while (hooks->started->len > 0)
        g_ptr_array_add(hooks->queue,
                        g_ptr_array_steal_index(hooks->started, hooks->started->len - 1));
}
