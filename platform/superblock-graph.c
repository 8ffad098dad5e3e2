/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/superblock-graph.h"

#include "platform/filesystem-kind.h"
#include "platform/mount-path.h"

#include <libmount/libmount.h>
#include <sys/sysmacros.h>

static void node_free(gpointer data)
{
    SuperblockNode *node = data;

    g_array_unref(node->lower);
    g_free(node);
}

void superblock_graph_free(SuperblockGraph *graph)
{
    if (!graph)
        return;
    g_ptr_array_unref(graph->nodes);
    g_hash_table_unref(graph->index);
    g_free(graph);
}

static SuperblockNode *node_at(const SuperblockGraph *graph, guint index)
{
    return g_ptr_array_index(graph->nodes, index);
}

static bool find_index(const SuperblockGraph *graph, dev_t device, guint *index)
{
    guint64 key = device;
    guint found = GPOINTER_TO_UINT(g_hash_table_lookup(graph->index, &key));

    *index = found - 1;
    return found != 0;
}

SuperblockNode *superblock_graph_find(const SuperblockGraph *graph, dev_t device)
{
    guint index;

    return find_index(graph, device, &index) ? node_at(graph, index) : NULL;
}

/* Adds the block devices below device, itself included, to the set. */
static void collect_devices(const BlockStack *stack, dev_t device, GHashTable *set)
{
    const BlockDevice *block = block_stack_find(stack, device);

    if (!block || !g_hash_table_add(set, (gpointer)block))
        return;
    for (guint i = 0; i < block->lower->len; i++)
        collect_devices(stack, g_array_index(block->lower, dev_t, i), set);
}

/* The set of const BlockDevice * that a superblock is stored on. */
static GHashTable *devices_of(const BlockStack *stack, dev_t superblock)
{
    GHashTable *set = g_hash_table_new(NULL, NULL);
    guint64 key = superblock;
    const GArray *members = g_hash_table_lookup(stack->superblocks, &key);

    for (guint i = 0; members && i < members->len; i++)
        collect_devices(stack, g_array_index(members, dev_t, i), set);
    if (!members)
        collect_devices(stack, superblock, set);
    return set;
}

typedef struct {
    const BlockStack *stack;
    const BlockDevice *device;
} StoredOn;

/* Of a loop device: whether the mount's filesystem can be the one of the backing file. */
static bool cannot_back(const Mount *mount, gconstpointer user_data)
{
    const StoredOn *stored = user_data;
    const BlockDevice *device = stored->device;
    g_autoptr(GHashTable) devices = NULL;

    if (device->backing_device != 0 && major(mount->device) != 0)
        return true;
    devices = devices_of(stored->stack, mount->device);
    return g_hash_table_contains(devices, device);
}

/*
 * Links node to the filesystem of a loop device's backing file. What the kernel names is right
 * whatever has been mounted since. A btrfs subvolume's number is in no mount table, though: then
 * the path must do, which the kernel gives without saying in which namespace it holds. An edge too
 * many costs a little time, one too few hangs the freeze. Never meant is a filesystem stored on
 * this very device: it has been mounted over the backing file's directory.
 */
static void link_backing(const SuperblockGraph *graph, const MountTable *mounts,
                         const BlockStack *stack, const BlockDevice *device, SuperblockNode *node)
{
    StoredOn stored = {stack, device};
    g_autoptr(GPtrArray) found = NULL;
    guint index;

    if (device->backing_device != 0 && find_index(graph, device->backing_device, &index)) {
        g_array_append_val(node->lower, index);
        return;
    }
    if (!device->backing_file || major(device->backing_device) != 0)
        return;
    found = mount_path_find_all(mounts, device->backing_file, cannot_back, &stored);
    for (guint i = 0; i < found->len; i++) {
        const Mount *mount = g_ptr_array_index(found, i);

        if (find_index(graph, mount->device, &index))
            g_array_append_val(node->lower, index);
    }
}

/* The superblock that takes a stacked filesystem's writes: overlay names the directory in an
 * option, the others as their source. */
static bool stacked_superblock(const SuperblockGraph *graph, const MountTable *mounts,
                               const Mount *mount, guint *index)
{
    g_autofree char *directory = NULL;
    const Mount *lower;
    char *value;
    size_t length;

    if (mnt_optstr_get_option(mount->superblock_options, "upperdir", &value, &length) == 0 && value)
        directory = g_strndup(value, length);
    else
        directory = g_strdup(mount->source);
    if (directory[0] != '/')
        return false;
    lower = mount_path_find(mounts, mount->namespace_pid, directory);
    return lower && lower->device != mount->device && find_index(graph, lower->device, index);
}

static void link_node(SuperblockGraph *graph, const MountTable *mounts, const BlockStack *stack,
                      SuperblockNode *node)
{
    g_autoptr(GHashTable) devices = devices_of(stack, node->device);
    GHashTableIter iter;
    gpointer device;
    guint index;

    if (filesystem_kind(node->mount->fs_type) == FILESYSTEM_STACKED &&
        stacked_superblock(graph, mounts, node->mount, &index))
        g_array_append_val(node->lower, index);
    g_hash_table_iter_init(&iter, devices);
    while (g_hash_table_iter_next(&iter, &device, NULL))
        link_backing(graph, mounts, stack, device, node);
}

static void add_node(SuperblockGraph *graph, const Mount *mount)
{
    SuperblockNode *node = g_new0(SuperblockNode, 1);
    guint64 key = mount->device;

    node->device = mount->device;
    node->mount = mount;
    node->lower = g_array_new(FALSE, FALSE, sizeof(guint));
    g_ptr_array_add(graph->nodes, node);
    g_hash_table_insert(graph->index, g_memdup2(&key, sizeof key),
                        GUINT_TO_POINTER(graph->nodes->len));
}

SuperblockGraph *superblock_graph_new(const MountTable *mounts, const BlockStack *stack)
{
    SuperblockGraph *graph = g_new0(SuperblockGraph, 1);

    graph->nodes = g_ptr_array_new_with_free_func(node_free);
    graph->index = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (guint i = 0; i < mounts->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts->mounts, i);

        if (!superblock_graph_find(graph, mount->device))
            add_node(graph, mount);
    }
    for (guint i = 0; i < graph->nodes->len; i++)
        link_node(graph, mounts, stack, node_at(graph, i));
    return graph;
}

/* Whether a walk downwards from the node at index comes to target; path holds the way there. */
static bool walk_down(const SuperblockGraph *graph, guint index, guint target, GHashTable *visited,
                      GArray *path)
{
    const GArray *lower = node_at(graph, index)->lower;

    if (!g_hash_table_add(visited, GUINT_TO_POINTER(index)))
        return false;
    g_array_append_val(path, index);
    for (guint i = 0; i < lower->len; i++) {
        guint next = g_array_index(lower, guint, i);

        if (next == target || walk_down(graph, next, target, visited, path))
            return true;
    }
    g_array_set_size(path, path->len - 1);
    return false;
}

/* The nodes from upper down to the one just above lower; NULL when upper does not lie on lower. */
static GArray *way_down(const SuperblockGraph *graph, guint upper, guint lower)
{
    g_autoptr(GHashTable) visited = g_hash_table_new(NULL, NULL);
    g_autoptr(GArray) path = g_array_new(FALSE, FALSE, sizeof(guint));

    return walk_down(graph, upper, lower, visited, path) ? g_steal_pointer(&path) : NULL;
}

bool superblock_graph_lies_on(const SuperblockGraph *graph, dev_t upper, dev_t lower)
{
    g_autoptr(GArray) path = NULL;
    guint from, to;

    if (!find_index(graph, upper, &from) || !find_index(graph, lower, &to))
        return false;
    path = way_down(graph, from, to);
    return path != NULL;
}

typedef struct {
    const SuperblockGraph *graph;
    const BlockStack *stack;
    GHashTable *seen; /* of SuperblockNode and BlockDevice */
    GArray *disks;
} DiskSearch;

static bool is_bottom(const BlockDevice *device)
{
    return device->lower->len == 0 && !device->backing_file;
}

static void search_device(DiskSearch *search, dev_t number)
{
    const BlockDevice *device = block_stack_find(search->stack, number);
    const BlockDevice *disk;

    if (!device || !g_hash_table_add(search->seen, (gpointer)device))
        return;
    disk = device->partition && device->lower->len > 0
               ? block_stack_find(search->stack, g_array_index(device->lower, dev_t, 0))
               : device;
    if (disk && is_bottom(disk)) {
        g_array_append_val(search->disks, number);
        return;
    }
    for (guint i = 0; i < device->lower->len; i++)
        search_device(search, g_array_index(device->lower, dev_t, i));
}

static void search_superblock(DiskSearch *search, const SuperblockNode *node)
{
    guint64 key = node->device;
    const GArray *members = g_hash_table_lookup(search->stack->superblocks, &key);

    if (!g_hash_table_add(search->seen, (gpointer)node))
        return;
    for (guint i = 0; members && i < members->len; i++)
        search_device(search, g_array_index(members, dev_t, i));
    if (!members)
        search_device(search, node->device);
    for (guint i = 0; i < node->lower->len; i++)
        search_superblock(search, node_at(search->graph, g_array_index(node->lower, guint, i)));
}

GArray *superblock_graph_disks(const SuperblockGraph *graph, const BlockStack *stack, dev_t device)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    DiskSearch search = {graph, stack, seen, g_array_new(FALSE, FALSE, sizeof(dev_t))};
    const SuperblockNode *node = superblock_graph_find(graph, device);

    if (node)
        search_superblock(&search, node);
    return search.disks;
}

static bool is_chosen(GHashTable *chosen, const SuperblockNode *node)
{
    guint64 key = node->device;

    return g_hash_table_contains(chosen, &key);
}

static void set_cycle_error(const SuperblockGraph *graph, GHashTable *chosen, GError **error)
{
    g_autoptr(GArray) cycle = NULL;
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < graph->nodes->len && !cycle; i++)
        if (is_chosen(chosen, node_at(graph, i)))
            cycle = way_down(graph, i, i);
    for (guint i = 0; cycle && i < cycle->len; i++) {
        const Mount *mount = node_at(graph, g_array_index(cycle, guint, i))->mount;

        g_string_append_printf(names, "%s%s (%s on %s)", i > 0 ? " lies on " : "",
                               mount->mount_point, mount->fs_type, mount->source);
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_LOOP,
                "cannot order the filesystems for the freeze: %s, which lies on the first again",
                names->str);
}

/* Pushes each node's wave below those that lie on it; true when something moved. */
static bool push_waves(SuperblockGraph *graph, GHashTable *chosen)
{
    bool moved = false;

    for (guint i = 0; i < graph->nodes->len; i++) {
        const SuperblockNode *upper = node_at(graph, i);
        unsigned least = upper->wave + (is_chosen(chosen, upper) ? 1 : 0);

        for (guint j = 0; j < upper->lower->len; j++) {
            SuperblockNode *lower = node_at(graph, g_array_index(upper->lower, guint, j));

            if (lower->wave < least) {
                lower->wave = least;
                moved = true;
            }
        }
    }
    return moved;
}

bool superblock_graph_order(SuperblockGraph *graph, GHashTable *chosen, GError **error)
{
    for (guint i = 0; i < graph->nodes->len; i++)
        node_at(graph, i)->wave = 0;
    /* Without a cycle no chain is longer than the number of nodes. */
    for (guint round = 0; round <= graph->nodes->len; round++)
        if (!push_waves(graph, chosen))
            return true;
    set_cycle_error(graph, chosen, error);
    return false;
}
