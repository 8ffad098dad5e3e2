/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/state-file.h"

#include "agent/freeze-board.h"
#include "platform/rcu.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define WINDOW "window"
#define FILESYSTEM_PREFIX "filesystem "

void state_file_free(StateFile *file)
{
    if (!file)
        return;
    g_clear_pointer(&file->plan, freeze_plan_free);
    g_free(file->command);
    g_free(file->thawed_by);
    g_free(file->word);
    g_free(file);
}

/* The switch is read here and not when the freezer turns it: by then it may be too late to write.
 */
static int rcu_value(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/sys/kernel/rcu_expedited", &text, NULL, NULL))
        return -1;
    return (int)g_ascii_strtoll(text, NULL, 10);
}

static void put_target(GKeyFile *keys, const FreezeTarget *target, unsigned index)
{
    g_autofree char *group = g_strdup_printf(FILESYSTEM_PREFIX "%u", index);

    g_key_file_set_string(keys, group, "mount-point", target->mount_point);
    g_key_file_set_string(keys, group, "type", target->fs_type);
    g_key_file_set_string(keys, group, "source", target->source);
    g_key_file_set_uint64(keys, group, "device", target->device);
    g_key_file_set_integer(keys, group, "mount-id", target->mount_id);
    g_key_file_set_integer(keys, group, "namespace-pid", target->namespace_pid);
    g_key_file_set_uint64(keys, group, "namespace-inode", target->namespace_inode);
    g_key_file_set_integer(keys, group, "wave", (int)target->wave);
}

static void put_targets(GKeyFile *keys, const FreezePlan *plan, unsigned first_index)
{
    for (unsigned i = 0; i < plan->targets->len; i++)
        put_target(keys, g_ptr_array_index(plan->targets, i), first_index + i);
}

static bool save(GKeyFile *keys, const char *path, GError **error)
{
    g_autofree char *text = g_key_file_to_data(keys, NULL, NULL);

    return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, error);
}

bool state_file_write(const char *path, const char *command, const FreezePlan *plan,
                      const FreezePlan *stragglers, pid_t freezer_pid, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autofree char *directory = g_path_get_dirname(path);

    g_key_file_set_string(keys, WINDOW, "command", command);
    g_key_file_set_integer(keys, WINDOW, "agent-pid", getpid());
    g_key_file_set_integer(keys, WINDOW, "freezer-pid", freezer_pid);
    g_key_file_set_int64(keys, WINDOW, "began-at-us", g_get_real_time());
    g_key_file_set_integer(keys, WINDOW, "rcu-expedited", rcu_value());
    /* Recovery thaws from the last to the first: whose thaw may sleep comes last. */
    put_targets(keys, stragglers, 0);
    put_targets(keys, plan, stragglers->targets->len);
    if (g_mkdir_with_parents(directory, 0755) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot create the state directory %s: %s", directory, g_strerror(errno));
        return false;
    }
    return save(keys, path, error);
}

bool state_file_leave_out(const char *path, dev_t device, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();

    if (!g_key_file_load_from_file(keys, path, G_KEY_FILE_NONE, error))
        return false;
    g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);
    for (char **group = groups; *group; group++)
        if (g_str_has_prefix(*group, FILESYSTEM_PREFIX) &&
            g_key_file_get_uint64(keys, *group, "device", NULL) == device)
            g_key_file_remove_group(keys, *group, NULL);
    return save(keys, path, error);
}

bool state_file_never_freezes(const char *path)
{
    struct statfs status;

    return statfs(path, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

static FreezeTarget *get_target(GKeyFile *keys, const char *group)
{
    FreezeTarget *target = g_new0(FreezeTarget, 1);

    target->mount_point = g_key_file_get_string(keys, group, "mount-point", NULL);
    target->fs_type = g_key_file_get_string(keys, group, "type", NULL);
    target->source = g_key_file_get_string(keys, group, "source", NULL);
    target->device = g_key_file_get_uint64(keys, group, "device", NULL);
    target->mount_id = g_key_file_get_integer(keys, group, "mount-id", NULL);
    target->namespace_pid = g_key_file_get_integer(keys, group, "namespace-pid", NULL);
    target->namespace_inode = g_key_file_get_uint64(keys, group, "namespace-inode", NULL);
    target->wave = (unsigned)g_key_file_get_integer(keys, group, "wave", NULL);
    target->aliases = g_ptr_array_new_with_free_func(g_free);
    return target;
}

static bool is_complete(const FreezeTarget *target)
{
    return target->mount_point && target->fs_type && target->source;
}

StateFile *state_file_read(const char *path, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();
    g_autoptr(GError) cause = NULL;
    g_auto(GStrv) groups = NULL;

    if (!g_key_file_load_from_file(keys, path, G_KEY_FILE_NONE, &cause)) {
        if (!g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            g_set_error(error, cause->domain, cause->code, "cannot read the state file %s: %s",
                        path, cause->message);
        return NULL;
    }
    StateFile *file = g_new0(StateFile, 1);
    file->command = g_key_file_get_string(keys, WINDOW, "command", NULL);
    file->daemon_pid = g_key_file_get_integer(keys, WINDOW, "agent-pid", NULL);
    file->word = g_key_file_get_string(keys, WINDOW, "word", NULL);
    file->thawed_by = g_key_file_get_string(keys, WINDOW, "thawed-by", NULL);
    file->freezer_pid = g_key_file_get_integer(keys, WINDOW, "freezer-pid", NULL);
    file->began_at_us = g_key_file_get_int64(keys, WINDOW, "began-at-us", NULL);
    file->thawed_at_us = g_key_file_get_int64(keys, WINDOW, "thawed-at-us", NULL);
    file->thawed = file->thawed_at_us != 0;
    file->rcu_restore = g_key_file_get_integer(keys, WINDOW, "rcu-expedited", NULL);
    file->plan = freeze_plan_new();
    groups = g_key_file_get_groups(keys, NULL);
    for (char **group = groups; *group; group++) {
        if (!g_str_has_prefix(*group, FILESYSTEM_PREFIX))
            continue;
        FreezeTarget *target = get_target(keys, *group);
        g_ptr_array_add(file->plan->targets, target);
        file->plan->waves = MAX(file->plan->waves, target->wave + 1);
        if (!is_complete(target)) {
            g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_KEY_NOT_FOUND,
                        "the state file %s is damaged at [%s]", path, *group);
            state_file_free(file);
            return NULL;
        }
    }
    return file;
}

bool state_file_is_in_use(const StateFile *file)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)file->freezer_pid);
    g_autofree char *parent = g_strdup_printf("\nPPid:\t%d\n", (int)file->daemon_pid);
    g_autofree char *status = NULL;

    return file->freezer_pid > 0 && file->daemon_pid > 1 &&
           g_file_get_contents(path, &status, NULL, NULL) && strstr(status, parent) != NULL;
}

bool state_file_keep_word(const char *path, const char *word, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();

    g_key_file_load_from_file(keys, path, G_KEY_FILE_NONE, NULL);
    if (!g_key_file_has_key(keys, WINDOW, "thawed-at-us", NULL))
        g_key_file_set_int64(keys, WINDOW, "thawed-at-us", g_get_real_time());
    g_key_file_set_string(keys, WINDOW, "word", word);
    return save(keys, path, error);
}

bool state_file_mark_thawed(const char *path, const char *by, pid_t freezer_pid, GError **error)
{
    g_autoptr(GKeyFile) keys = g_key_file_new();

    if (!g_key_file_load_from_file(keys, path, G_KEY_FILE_NONE, NULL) ||
        (freezer_pid != 0 &&
         g_key_file_get_integer(keys, WINDOW, "freezer-pid", NULL) != freezer_pid))
        return true;
    g_key_file_set_int64(keys, WINDOW, "thawed-at-us", g_get_real_time());
    g_key_file_set_string(keys, WINDOW, "thawed-by", by);
    return save(keys, path, error);
}

void state_file_remove(const char *path)
{
    unlink(path);
}
