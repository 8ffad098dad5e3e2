/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/filesystem-list.h"

#include "platform/filesystem-kind.h"
#include "platform/mount-path.h"
#include "platform/superblock-graph.h"

#include <sys/sysmacros.h>

static void listed_filesystem_free(gpointer data)
{
    ListedFilesystem *filesystem = data;

    g_free(filesystem->name);
    g_array_unref(filesystem->disks);
    g_free(filesystem);
}

static const GArray *members_of(const BlockStack *stack, const Mount *mount)
{
    guint64 key = mount->device;

    return g_hash_table_lookup(stack->superblocks, &key);
}

static bool is_listed(const BlockStack *stack, const Mount *mount)
{
    return mount->namespace_pid == 0 && (major(mount->device) != 0 || members_of(stack, mount));
}

static char *name_of(const BlockStack *stack, const Mount *mount)
{
    const GArray *members = members_of(stack, mount);
    dev_t first = members ? g_array_index(members, dev_t, 0) : mount->device;
    const BlockDevice *device = block_stack_find(stack, first);

    return device ? g_strdup(device->name) : g_path_get_basename(mount->source);
}

GPtrArray *filesystem_list_build(const MountTable *mounts, const BlockStack *stack)
{
    g_autoptr(SuperblockGraph) graph = superblock_graph_new(mounts, stack);
    g_autoptr(GHashTable) reach_by_mount = mount_path_reach(mounts);
    GPtrArray *list = g_ptr_array_new_with_free_func(listed_filesystem_free);

    for (guint i = mounts->mounts->len; i-- > 0;) {
        const Mount *mount = g_ptr_array_index(mounts->mounts, i);
        const MountReach *reach = g_hash_table_lookup(reach_by_mount, mount);
        ListedFilesystem *filesystem;

        if (!is_listed(stack, mount))
            continue;
        filesystem = g_new0(ListedFilesystem, 1);
        filesystem->mount = mount;
        filesystem->name = name_of(stack, mount);
        filesystem->disks = superblock_graph_disks(graph, stack, mount->device);
        filesystem->may_hang =
            reach->through_remote || filesystem_kind_can_hang(filesystem_kind(mount->fs_type));
        filesystem->hidden = reach->hidden;
        g_ptr_array_add(list, filesystem);
    }
    return list;
}
