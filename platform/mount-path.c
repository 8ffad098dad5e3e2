/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/mount-path.h"

#include "platform/filesystem-kind.h"

#include <string.h>

bool mount_path_is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);

    if (g_str_equal(directory, "/"))
        return path[0] == '/';
    return strncmp(path, directory, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

GPtrArray *mount_path_find_all(const MountTable *table, const char *path, MountPathExcept except,
                               gconstpointer user_data)
{
    g_autoptr(GHashTable) best = g_hash_table_new(NULL, NULL);
    GPtrArray *found = g_ptr_array_new();
    GHashTableIter iter;
    gpointer mount;

    for (guint i = 0; i < table->mounts->len; i++) {
        Mount *candidate = g_ptr_array_index(table->mounts, i);
        gpointer namespace = GINT_TO_POINTER(candidate->namespace_pid);
        const Mount *so_far = g_hash_table_lookup(best, namespace);

        if (!mount_path_is_below(path, candidate->mount_point) ||
            (so_far && strlen(so_far->mount_point) > strlen(candidate->mount_point)) ||
            (except && except(candidate, user_data)))
            continue;
        g_hash_table_insert(best, namespace, candidate);
    }
    g_hash_table_iter_init(&iter, best);
    while (g_hash_table_iter_next(&iter, NULL, &mount))
        g_ptr_array_add(found, mount);
    return found;
}

static bool is_of_other_namespace(const Mount *mount, gconstpointer namespace_pid)
{
    return mount->namespace_pid != *(const pid_t *)namespace_pid;
}

const Mount *mount_path_find(const MountTable *table, pid_t namespace_pid, const char *path)
{
    g_autoptr(GPtrArray) found =
        mount_path_find_all(table, path, is_of_other_namespace, &namespace_pid);

    return found->len > 0 ? g_ptr_array_index(found, 0) : NULL;
}

/* The mounts by their parents: a mount can only be covered by its children and its siblings. */
typedef struct {
    GHashTable *by_id;     /* mount_id -> const Mount * */
    GHashTable *by_parent; /* parent_id -> GPtrArray of const Mount * */
} MountTree;

static void mount_tree_free(MountTree *tree)
{
    g_hash_table_unref(tree->by_id);
    g_hash_table_unref(tree->by_parent);
    g_free(tree);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountTree, mount_tree_free)

static MountTree *mount_tree_new(const MountTable *table)
{
    MountTree *tree = g_new0(MountTree, 1);

    tree->by_id = g_hash_table_new(NULL, NULL);
    tree->by_parent = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_ptr_array_unref);
    for (guint i = 0; i < table->mounts->len; i++) {
        Mount *mount = g_ptr_array_index(table->mounts, i);
        gpointer parent = GINT_TO_POINTER(mount->parent_id);
        GPtrArray *children = g_hash_table_lookup(tree->by_parent, parent);

        g_hash_table_insert(tree->by_id, GINT_TO_POINTER(mount->mount_id), mount);
        /* The root of an initramfs is its own parent. */
        if (mount->mount_id == mount->parent_id)
            continue;
        if (!children) {
            children = g_ptr_array_new();
            g_hash_table_insert(tree->by_parent, parent, children);
        }
        g_ptr_array_add(children, mount);
    }
    return tree;
}

/* Whether a child of the mount parent_id, other than mount, covers the given path on it. */
static bool covered_on(const MountTree *tree, int parent_id, const Mount *mount, const char *path)
{
    GPtrArray *children = g_hash_table_lookup(tree->by_parent, GINT_TO_POINTER(parent_id));

    for (guint i = 0; children && i < children->len; i++) {
        const Mount *child = g_ptr_array_index(children, i);

        if (child != mount && mount_path_is_below(path, child->mount_point))
            return true;
    }
    return false;
}

static MountReach reach_of(const MountTree *tree, const Mount *mount, guint count)
{
    MountReach reach = {.hidden = covered_on(tree, mount->mount_id, NULL, mount->mount_point)};
    const Mount *at = mount;

    /* count bounds the walk, should the table name parents in a circle. */
    for (; at && count > 0; count--) {
        const Mount *parent = g_hash_table_lookup(tree->by_id, GINT_TO_POINTER(at->parent_id));

        if (!parent || parent == at)
            break;
        reach.hidden = reach.hidden || covered_on(tree, parent->mount_id, at, at->mount_point);
        reach.through_remote =
            reach.through_remote || filesystem_kind_can_hang(filesystem_kind(parent->fs_type));
        at = parent;
    }
    return reach;
}

GHashTable *mount_path_reach(const MountTable *table)
{
    g_autoptr(MountTree) tree = mount_tree_new(table);
    GHashTable *reach_by_mount = g_hash_table_new_full(NULL, NULL, NULL, g_free);

    for (guint i = 0; i < table->mounts->len; i++) {
        Mount *mount = g_ptr_array_index(table->mounts, i);
        MountReach reach = reach_of(tree, mount, table->mounts->len);

        g_hash_table_insert(reach_by_mount, mount, g_memdup2(&reach, sizeof reach));
    }
    return reach_by_mount;
}
