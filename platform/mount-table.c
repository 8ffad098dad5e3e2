/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/mount-table.h"

#include <errno.h>
#include <libmount/libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct libmnt_table LibmountTable;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibmountTable, mnt_unref_table)
typedef struct libmnt_iter LibmountIter;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibmountIter, mnt_free_iter)

static void mount_free(gpointer data)
{
    Mount *mount = data;

    g_free(mount->root);
    g_free(mount->mount_point);
    g_free(mount->fs_type);
    g_free(mount->source);
    g_free(mount->mount_options);
    g_free(mount->superblock_options);
    g_free(mount);
}

MountTable *mount_table_new(void)
{
    MountTable *table = g_new0(MountTable, 1);

    table->mounts = g_ptr_array_new_with_free_func(mount_free);
    return table;
}

void mount_table_free(MountTable *table)
{
    if (!table)
        return;
    g_ptr_array_unref(table->mounts);
    g_free(table);
}

static char *text_or_empty(const char *text)
{
    return g_strdup(text ? text : "");
}

static Mount *mount_from_libmount(struct libmnt_fs *fs)
{
    Mount *mount = g_new0(Mount, 1);
    const char *options = mnt_fs_get_fs_options(fs);

    mount->mount_id = mnt_fs_get_id(fs);
    mount->parent_id = mnt_fs_get_parent_id(fs);
    mount->device = mnt_fs_get_devno(fs);
    mount->root = text_or_empty(mnt_fs_get_root(fs));
    mount->mount_point = text_or_empty(mnt_fs_get_target(fs));
    mount->fs_type = text_or_empty(mnt_fs_get_fstype(fs));
    mount->source = text_or_empty(mnt_fs_get_source(fs));
    mount->mount_options = text_or_empty(mnt_fs_get_vfs_options(fs));
    mount->superblock_options = text_or_empty(options);
    mount->superblock_read_only = options && mnt_optstr_get_option(options, "ro", NULL, NULL) == 0;
    return mount;
}

/* libmount skips a line that it cannot read and goes on; a mount that is silently missing would be
 * a filesystem that is silently not frozen. */
static int refuse_bad_line(struct libmnt_table *table, const char *filename, int line)
{
    *(int *)mnt_table_get_userdata(table) = line;
    return -EINVAL;
}

static bool add_file(MountTable *table, const char *mountinfo_path, pid_t namespace_pid,
                     guint64 namespace_inode, GError **error)
{
    g_autoptr(LibmountTable) parsed = mnt_new_table();
    g_autoptr(LibmountIter) iter = mnt_new_iter(MNT_ITER_FORWARD);
    struct libmnt_fs *fs = NULL;
    int bad_line = 0;
    int rc;

    mnt_table_set_userdata(parsed, &bad_line);
    mnt_table_set_parser_errcb(parsed, refuse_bad_line);
    rc = mnt_table_parse_file(parsed, mountinfo_path);
    if (rc != 0 && bad_line) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "cannot read the mounts in %s: line %d is not understood", mountinfo_path,
                    bad_line);
        return false;
    }
    if (rc != 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(ABS(rc)),
                    "cannot read the mounts in %s: %s", mountinfo_path, g_strerror(ABS(rc)));
        return false;
    }
    while (mnt_table_next_fs(parsed, iter, &fs) == 0) {
        Mount *mount = mount_from_libmount(fs);

        mount->namespace_pid = namespace_pid;
        mount->namespace_inode = namespace_inode;
        g_ptr_array_add(table->mounts, mount);
    }
    return true;
}

bool mount_table_add_file(MountTable *table, const char *mountinfo_path, pid_t namespace_pid,
                          GError **error)
{
    return add_file(table, mountinfo_path, namespace_pid, 0, error);
}

/* The inode number names the mount namespace (namespaces(7)); 0 when the process is gone or a
 * zombie. The link's text tells it in half the time of stat(2), and there is one per process. */
static guint64 namespace_inode_of(const char *pid)
{
    char path[64], link[64];
    guint64 inode = 0;
    ssize_t length;

    g_snprintf(path, sizeof path, "/proc/%s/ns/mnt", pid);
    length = readlink(path, link, sizeof link - 1);
    if (length < 0)
        return 0;
    link[length] = '\0';
    return sscanf(link, "mnt:[%" G_GUINT64_FORMAT "]", &inode) == 1 ? inode : 0;
}

static gint compare_pids(gconstpointer a, gconstpointer b)
{
    pid_t first = *(const pid_t *)a, second = *(const pid_t *)b;

    return (first > second) - (first < second);
}

/* Ascending, so that a namespace is seen through its oldest process, which is the least likely to
 * live in a chroot. */
static GArray *list_pids(GError **error)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, error);
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    const char *name;

    if (!proc)
        return NULL;
    while ((name = g_dir_read_name(proc))) {
        guint64 number;

        if (!g_ascii_string_to_unsigned(name, 10, 1, G_MAXINT, &number, NULL))
            continue;
        g_array_append_vals(pids, &(pid_t){(pid_t)number}, 1);
    }
    g_array_sort(pids, compare_pids);
    return g_steal_pointer(&pids);
}

static bool add_other_namespaces(MountTable *table, guint64 own_inode, GError **error)
{
    g_autoptr(GArray) pids = list_pids(error);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);

    if (!pids)
        return false;
    g_hash_table_add(seen, g_memdup2(&own_inode, sizeof own_inode));
    for (guint i = 0; i < pids->len; i++) {
        pid_t pid = g_array_index(pids, pid_t, i);
        g_autofree char *name = g_strdup_printf("%d", pid);
        g_autofree char *path = NULL;
        guint64 inode = namespace_inode_of(name);
        g_autoptr(GError) failure = NULL;

        if (inode == 0 || g_hash_table_contains(seen, &inode))
            continue;
        path = g_build_filename("/proc", name, "mountinfo", NULL);
        if (add_file(table, path, pid, inode, &failure))
            g_hash_table_add(seen, g_memdup2(&inode, sizeof inode));
        else if (g_error_matches(failure, G_FILE_ERROR, G_FILE_ERROR_INVAL) &&
                 namespace_inode_of(name) == inode) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        /* Else the process ended just now, and another one may live in its namespace, too. */
    }
    return true;
}

MountTable *mount_table_read(bool other_namespaces, GError **error)
{
    g_autoptr(MountTable) table = mount_table_new();
    guint64 own_inode = namespace_inode_of("self");

    if (!add_file(table, "/proc/self/mountinfo", 0, own_inode, error))
        return NULL;
    if (other_namespaces && !add_other_namespaces(table, own_inode, error))
        return NULL;
    return g_steal_pointer(&table);
}

pid_t mount_table_find_process(guint64 namespace_inode, pid_t preferred)
{
    g_autoptr(GArray) pids = NULL;
    char name[16];

    g_snprintf(name, sizeof name, "%d", preferred);
    if (namespace_inode_of(name) == namespace_inode)
        return preferred;
    pids = list_pids(NULL);
    for (guint i = 0; pids && i < pids->len; i++) {
        g_snprintf(name, sizeof name, "%d", g_array_index(pids, pid_t, i));
        if (namespace_inode_of(name) == namespace_inode)
            return g_array_index(pids, pid_t, i);
    }
    return 0;
}
