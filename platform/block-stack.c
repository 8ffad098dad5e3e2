/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/block-stack.h"

#include "platform/filesystem-kind.h"
#include "platform/mount-path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void block_device_free(gpointer data)
{
    BlockDevice *device = data;

    g_free(device->name);
    g_free(device->backing_file);
    g_array_unref(device->lower);
    g_free(device);
}

static gpointer device_key(dev_t device)
{
    guint64 key = device;

    return g_memdup2(&key, sizeof key);
}

BlockStack *block_stack_new(void)
{
    BlockStack *stack = g_new0(BlockStack, 1);

    stack->devices = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, block_device_free);
    stack->superblocks =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_array_unref);
    stack->removed = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    return stack;
}

void block_stack_free(BlockStack *stack)
{
    if (!stack)
        return;
    g_hash_table_unref(stack->devices);
    g_hash_table_unref(stack->superblocks);
    g_hash_table_unref(stack->removed);
    g_free(stack);
}

BlockDevice *block_stack_add(BlockStack *stack, dev_t device, const char *name)
{
    BlockDevice *added = g_new0(BlockDevice, 1);

    added->device = device;
    added->name = g_strdup(name);
    added->lower = g_array_new(FALSE, FALSE, sizeof(dev_t));
    g_hash_table_replace(stack->devices, device_key(device), added);
    return added;
}

void block_device_add_lower(BlockDevice *device, dev_t lower)
{
    g_array_append_val(device->lower, lower);
}

void block_stack_add_superblock(BlockStack *stack, dev_t superblock, dev_t member)
{
    guint64 key = superblock;
    GArray *members = g_hash_table_lookup(stack->superblocks, &key);

    if (!members) {
        members = g_array_new(FALSE, FALSE, sizeof(dev_t));
        g_hash_table_insert(stack->superblocks, device_key(superblock), members);
    }
    g_array_append_val(members, member);
}

const BlockDevice *block_stack_find(const BlockStack *stack, dev_t device)
{
    guint64 key = device;

    return g_hash_table_lookup(stack->devices, &key);
}

void block_stack_add_removed(BlockStack *stack, dev_t device)
{
    g_hash_table_add(stack->removed, device_key(device));
}

bool block_stack_is_removed(const BlockStack *stack, dev_t device)
{
    guint64 key = device;

    return g_hash_table_contains(stack->removed, &key);
}

dev_t block_stack_first_device(const BlockStack *stack, dev_t superblock)
{
    guint64 key = superblock;
    const GArray *members = g_hash_table_lookup(stack->superblocks, &key);
    dev_t first = members && members->len > 0 ? g_array_index(members, dev_t, 0) : superblock;

    return block_stack_find(stack, first) ? first : 0;
}

/* An attribute of the block device in sysfs (Documentation/ABI/testing/sysfs-dev and sysfs-block in
 * the kernel), without its newline; NULL when there is no such thing. Read by hand: libudev makes
 * some forty system calls for each device, and 64 of them took as long as the freeze itself. */
static char *read_attribute(dev_t device, const char *attribute)
{
    g_autofree char *path =
        g_strdup_printf("/sys/dev/block/%u:%u/%s", major(device), minor(device), attribute);
    char *value = NULL;

    return g_file_get_contents(path, &value, NULL, NULL) ? g_strchomp(value) : NULL;
}

/* 0 when it is NULL or no "MAJOR:MINOR". */
static dev_t parse_device_number(const char *text)
{
    unsigned major_number, minor_number;

    if (!text || sscanf(text, "%u:%u", &major_number, &minor_number) != 2)
        return 0;
    return makedev(major_number, minor_number);
}

/* 0 when there is no such block device (any more). */
static dev_t device_by_name(const char *kernel_name)
{
    g_autofree char *path = g_build_filename("/sys/class/block", kernel_name, "dev", NULL);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? parse_device_number(text) : 0;
}

/* NULL when there is no such block device (any more). */
static char *kernel_name_of(dev_t device)
{
    g_autofree char *path = g_strdup_printf("/sys/dev/block/%u:%u", major(device), minor(device));
    g_autofree char *target = g_file_read_link(path, NULL);

    /* sysfs spells a slash in a name so. */
    return target ? g_strdelimit(g_path_get_basename(target), "!", '/') : NULL;
}

bool block_stack_device_exists(dev_t device)
{
    char path[64];

    g_snprintf(path, sizeof path, "/sys/dev/block/%u:%u", major(device), minor(device));
    return access(path, F_OK) == 0;
}

static gint compare_devices(gconstpointer a, gconstpointer b)
{
    dev_t first = *(const dev_t *)a, second = *(const dev_t *)b;

    return (first > second) - (first < second);
}

/* The block devices that a sysfs directory of links (slaves, btrfs devices) names, by number. */
static GArray *devices_in_directory(const char *path)
{
    GArray *devices = g_array_new(FALSE, FALSE, sizeof(dev_t));
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory && (name = g_dir_read_name(directory))) {
        dev_t device = device_by_name(name);

        if (device != 0)
            g_array_append_val(devices, device);
    }
    g_array_sort(devices, compare_devices);
    return devices;
}

static dev_t loop_backing_device(const char *device_node)
{
    struct loop_info64 info;
    dev_t device = 0;
    int fd = open(device_node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return 0;
    /* linux/kdev_t.h, new_encode_dev(): the same layout as glibc's dev_t. */
    if (ioctl(fd, LOOP_GET_STATUS64, &info) == 0)
        device = (dev_t)info.lo_device;
    close(fd);
    return device;
}

typedef struct {
    BlockStack *stack;
    const MountTable *mounts;
    GPtrArray *risky; /* of const Mount *: those on which a look-up may hang */
} StackReader;

static void add_device(StackReader *reader, dev_t number);

static void add_lower(StackReader *reader, BlockDevice *device, dev_t lower)
{
    if (lower == 0)
        return;
    block_device_add_lower(device, lower);
    add_device(reader, lower);
}

static bool is_risky(const Mount *mount)
{
    FilesystemKind kind = filesystem_kind(mount->fs_type);

    /* Below a stacked filesystem there may be a network one. */
    return kind == FILESYSTEM_STACKED || filesystem_kind_can_hang(kind);
}

static GPtrArray *find_risky(const MountTable *mounts)
{
    GPtrArray *risky = g_ptr_array_new();

    for (guint i = 0; i < mounts->mounts->len; i++) {
        Mount *mount = g_ptr_array_index(mounts->mounts, i);

        if (is_risky(mount))
            g_ptr_array_add(risky, mount);
    }
    return risky;
}

/* The kernel asks the filesystem of the backing file for its attributes to answer
 * LOOP_GET_STATUS64, so that a dead server below a network mount would hold us. The file may have
 * been named in any namespace. */
static bool backing_file_may_hang(const StackReader *reader, const char *backing_file)
{
    g_autoptr(GPtrArray) found = NULL;
    bool near = false;

    for (guint i = 0; i < reader->risky->len && !near; i++)
        near = mount_path_is_below(
            backing_file, ((const Mount *)g_ptr_array_index(reader->risky, i))->mount_point);
    if (!near)
        return false;
    found = mount_path_find_all(reader->mounts, backing_file, NULL, NULL);
    for (guint i = 0; i < found->len; i++)
        if (is_risky(g_ptr_array_index(found, i)))
            return true;
    return false;
}

static void read_loop(const StackReader *reader, BlockDevice *loop)
{
    g_autofree char *node = g_strdup_printf("/dev/%s", loop->name);

    loop->backing_file = read_attribute(loop->device, "loop/backing_file");
    if (loop->backing_file && !backing_file_may_hang(reader, loop->backing_file))
        loop->backing_device = loop_backing_device(node);
}

static void add_slaves(StackReader *reader, BlockDevice *device)
{
    g_autofree char *path = g_strdup_printf("/sys/dev/block/%u:%u/slaves", major(device->device),
                                            minor(device->device));
    g_autoptr(GArray) lower = devices_in_directory(path);

    for (guint i = 0; i < lower->len; i++)
        add_lower(reader, device, g_array_index(lower, dev_t, i));
}

/* Adds the device and all below it. What is of no use for its kind is not looked up: each look-up
 * in sysfs costs as much as a good part of a freeze. */
static void add_device(StackReader *reader, dev_t number)
{
    g_autofree char *name = NULL;
    g_autofree char *partition = NULL;

    if (block_stack_find(reader->stack, number))
        return;
    name = kernel_name_of(number);
    if (!name)
        return;
    BlockDevice *added = block_stack_add(reader->stack, number, name);
    partition = read_attribute(number, "partition");
    if (partition) {
        g_autofree char *disk = read_attribute(number, "../dev");
        added->partition = true;
        add_lower(reader, added, parse_device_number(disk));
        return;
    }
    if (major(number) == LOOP_MAJOR)
        read_loop(reader, added);
    else
        add_slaves(reader, added);
}

/* Which btrfs superblock is which mount: its source is one of the members. */
static dev_t source_device(const Mount *mount)
{
    struct stat status;

    /* Only devtmpfs is asked: other sources are no paths, or paths on who knows what. */
    if (!g_str_has_prefix(mount->source, "/dev/") || stat(mount->source, &status) != 0 ||
        !S_ISBLK(status.st_mode))
        return 0;
    return status.st_rdev;
}

static bool contains_device(const GArray *devices, dev_t device)
{
    for (guint i = 0; i < devices->len; i++)
        if (g_array_index(devices, dev_t, i) == device)
            return true;
    return false;
}

/* The mount's source comes first: it is what people know the filesystem by. */
static void add_member(StackReader *reader, const Mount *mount, dev_t member)
{
    block_stack_add_superblock(reader->stack, mount->device, member);
    add_device(reader, member);
}

static void add_btrfs_superblock(StackReader *reader, const Mount *mount,
                                 const GPtrArray *filesystems)
{
    dev_t source = source_device(mount);

    if (source == 0)
        return;
    add_member(reader, mount, source);
    for (guint i = 0; i < filesystems->len; i++) {
        const GArray *members = g_ptr_array_index(filesystems, i);

        if (!contains_device(members, source))
            continue;
        for (guint j = 0; j < members->len; j++)
            if (g_array_index(members, dev_t, j) != source)
                add_member(reader, mount, g_array_index(members, dev_t, j));
        return;
    }
}

/* Of GArray of dev_t: the members of every btrfs that the kernel knows. */
static GPtrArray *read_btrfs_filesystems(void)
{
    static const char root[] = "/sys/fs/btrfs";
    GPtrArray *filesystems = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    g_autoptr(GDir) directory = g_dir_open(root, 0, NULL);
    const char *uuid;

    while (directory && (uuid = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(root, uuid, "devices", NULL);

        g_ptr_array_add(filesystems, devices_in_directory(path));
    }
    return filesystems;
}

static void add_btrfs_superblocks(StackReader *reader)
{
    g_autoptr(GPtrArray) filesystems = NULL;

    for (guint i = 0; i < reader->mounts->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(reader->mounts->mounts, i);
        guint64 key = mount->device;

        if (!g_str_equal(mount->fs_type, "btrfs") ||
            g_hash_table_contains(reader->stack->superblocks, &key))
            continue;
        if (!filesystems)
            filesystems = read_btrfs_filesystems();
        add_btrfs_superblock(reader, mount, filesystems);
    }
}

BlockStack *block_stack_read(const MountTable *mounts, GError **error)
{
    g_autoptr(BlockStack) stack = block_stack_new();
    g_autoptr(GPtrArray) risky = find_risky(mounts);
    StackReader reader = {stack, mounts, risky};

    if (access("/sys/dev/block", X_OK) != 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot read which device lies on which in /sys/dev/block: %s",
                    g_strerror(errno));
        return NULL;
    }
    for (guint i = 0; i < mounts->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts->mounts, i);

        if (major(mount->device) == 0)
            continue;
        add_device(&reader, mount->device);
        if (!block_stack_find(stack, mount->device))
            block_stack_add_removed(stack, mount->device);
    }
    add_btrfs_superblocks(&reader);
    return g_steal_pointer(&stack);
}
