/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/block-stack.h"

#include "platform/filesystem-kind.h"
#include "platform/mount-path.h"
#include "platform/udev-types.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
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
    return stack;
}

void block_stack_free(BlockStack *stack)
{
    if (!stack)
        return;
    g_hash_table_unref(stack->devices);
    g_hash_table_unref(stack->superblocks);
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

/* 0 when there is no such block device (any more). */
static dev_t device_by_name(Udev *udev, const char *kernel_name)
{
    g_autoptr(UdevDevice) device =
        udev_device_new_from_subsystem_sysname(udev, "block", kernel_name);

    return device ? udev_device_get_devnum(device) : 0;
}

/* The block devices that a sysfs directory of links (slaves, btrfs devices) names. */
static GArray *devices_in_directory(Udev *udev, const char *path)
{
    GArray *devices = g_array_new(FALSE, FALSE, sizeof(dev_t));
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory && (name = g_dir_read_name(directory))) {
        dev_t device = device_by_name(udev, name);

        if (device != 0)
            g_array_append_val(devices, device);
    }
    return devices;
}

/* The kernel asks the filesystem of the backing file for its attributes to answer
 * LOOP_GET_STATUS64, so that a dead server below a network mount would hold us. The file may have
 * been named in any namespace. */
static bool backing_file_may_hang(const MountTable *mounts, const char *backing_file)
{
    g_autoptr(GPtrArray) found = mount_path_find_all(mounts, backing_file, NULL, NULL);

    for (guint i = 0; i < found->len; i++) {
        const Mount *mount = g_ptr_array_index(found, i);
        FilesystemKind kind = filesystem_kind(mount->fs_type);

        /* Below a stacked filesystem there may be a network one. */
        if (kind == FILESYSTEM_STACKED || filesystem_kind_can_hang(kind))
            return true;
    }
    return false;
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

static void add_device(BlockStack *stack, Udev *udev, const MountTable *mounts, UdevDevice *device)
{
    BlockDevice *added =
        block_stack_add(stack, udev_device_get_devnum(device), udev_device_get_sysname(device));
    g_autofree char *slaves = g_build_filename(udev_device_get_syspath(device), "slaves", NULL);
    g_autoptr(GArray) lower = devices_in_directory(udev, slaves);
    /* Borrowed from device. */
    UdevDevice *disk = udev_device_get_parent_with_subsystem_devtype(device, "block", "disk");
    const char *backing_file = udev_device_get_sysattr_value(device, "loop/backing_file");
    const char *node = udev_device_get_devnode(device);

    g_array_append_vals(added->lower, lower->data, lower->len);
    if (disk) {
        added->partition = true;
        block_device_add_lower(added, udev_device_get_devnum(disk));
    }
    if (!backing_file)
        return;
    added->backing_file = g_strdup(backing_file);
    if (node && !backing_file_may_hang(mounts, backing_file))
        added->backing_device = loop_backing_device(node);
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
static void add_btrfs_superblock(BlockStack *stack, const Mount *mount, GPtrArray *filesystems)
{
    dev_t source = source_device(mount);

    if (source == 0)
        return;
    block_stack_add_superblock(stack, mount->device, source);
    for (guint i = 0; i < filesystems->len; i++) {
        const GArray *members = g_ptr_array_index(filesystems, i);

        if (!contains_device(members, source))
            continue;
        for (guint j = 0; j < members->len; j++)
            if (g_array_index(members, dev_t, j) != source)
                block_stack_add_superblock(stack, mount->device, g_array_index(members, dev_t, j));
        return;
    }
}

/* Of GArray of dev_t: the members of every btrfs that the kernel knows. */
static GPtrArray *read_btrfs_filesystems(Udev *udev)
{
    static const char root[] = "/sys/fs/btrfs";
    GPtrArray *filesystems = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
    g_autoptr(GDir) directory = g_dir_open(root, 0, NULL);
    const char *uuid;

    while (directory && (uuid = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(root, uuid, "devices", NULL);

        g_ptr_array_add(filesystems, devices_in_directory(udev, path));
    }
    return filesystems;
}

static void add_btrfs_superblocks(BlockStack *stack, Udev *udev, const MountTable *mounts)
{
    g_autoptr(GPtrArray) filesystems = read_btrfs_filesystems(udev);

    for (guint i = 0; i < mounts->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(mounts->mounts, i);
        guint64 key = mount->device;

        if (g_str_equal(mount->fs_type, "btrfs") &&
            !g_hash_table_contains(stack->superblocks, &key))
            add_btrfs_superblock(stack, mount, filesystems);
    }
}

BlockStack *block_stack_read(const MountTable *mounts, GError **error)
{
    g_autoptr(BlockStack) stack = block_stack_new();
    g_autoptr(Udev) udev = udev_new();
    g_autoptr(UdevEnumerate) enumerate = udev ? udev_enumerate_new(udev) : NULL;
    struct udev_list_entry *entry;
    int rc = -ENOMEM;

    if (enumerate)
        rc = udev_enumerate_add_match_subsystem(enumerate, "block");
    if (rc >= 0)
        rc = udev_enumerate_scan_devices(enumerate);
    if (rc < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-rc),
                    "cannot list the block devices in /sys: %s", g_strerror(-rc));
        return NULL;
    }
    udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate))
    {
        g_autoptr(UdevDevice) device =
            udev_device_new_from_syspath(udev, udev_list_entry_get_name(entry));

        if (device)
            add_device(stack, udev, mounts, device);
    }
    add_btrfs_superblocks(stack, udev, mounts);
    return g_steal_pointer(&stack);
}
