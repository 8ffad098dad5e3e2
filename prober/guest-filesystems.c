/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-filesystems.h"
#include "prober/json-field.h"

#include <inttypes.h>

static void filesystem_free(gpointer data)
{
    GuestFilesystem *filesystem = data;

    g_free(filesystem->mount_point);
    g_free(filesystem->fs_type);
    g_free(filesystem->name);
    g_ptr_array_unref(filesystem->disks);
    g_free(filesystem);
}

bool guest_filesystem_type_is_freezable(const char *fs_type)
{
    static const char *const types[] = {"ext2", "ext3", "ext4",   "xfs",      "btrfs", "f2fs",
                                        "jfs",  "gfs2", "nilfs2", "reiserfs", NULL};

    return fs_type && g_strv_contains(types, fs_type);
}

/* The address of the disk, not of the partition: two partitions of one disk give the same key.
 * NULL when the guest does not know it (qemu-ga then sends -1 in each place). */
static char *disk_key(json_object *disk)
{
    static const char *const places[] = {"domain", "bus", "slot", "function"};
    static const char *const bus_places[] = {"bus", "target", "unit"};
    json_object *pci = json_field_object(disk, "pci-controller");
    g_autoptr(GString) key = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        int64_t value = -1;
        if (!json_field_integer(pci, places[i], &value) || value < 0)
            return NULL;
        g_string_append_printf(key, "%" PRId64 ":", value);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bus_places); i++) {
        int64_t value = 0;
        json_field_integer(disk, bus_places[i], &value);
        g_string_append_printf(key, "/%" PRId64, value);
    }
    return g_string_free(g_steal_pointer(&key), FALSE);
}

static GPtrArray *disk_keys(json_object *element)
{
    GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
    json_object *list = json_field_array(element, "disk");

    for (size_t i = 0; i < json_field_length(list, GUEST_FILESYSTEMS_MAX_DISKS); i++) {
        char *key = disk_key(json_object_array_get_idx(list, i));
        if (key)
            g_ptr_array_add(keys, key);
    }
    return keys;
}

GuestFilesystems *guest_filesystems_new(json_object *reply)
{
    GuestFilesystems *guest = g_new0(GuestFilesystems, 1);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    guest->filesystems = g_ptr_array_new_with_free_func(filesystem_free);
    for (size_t i = 0; i < json_field_length(reply, GUEST_FILESYSTEMS_MAX); i++) {
        json_object *element = json_object_array_get_idx(reply, i);
        const char *mount_point = json_field_string(element, "mountpoint");
        const char *name = json_field_string(element, "name");
        if (!mount_point || (name && g_hash_table_contains(seen, name)))
            continue;

        GuestFilesystem *filesystem = g_new0(GuestFilesystem, 1);
        filesystem->mount_point = g_strdup(mount_point);
        filesystem->name = g_strdup(name);
        filesystem->fs_type = g_strdup(json_field_string(element, "type"));
        filesystem->freezable = guest_filesystem_type_is_freezable(filesystem->fs_type);
        filesystem->disks = disk_keys(element);
        g_ptr_array_add(guest->filesystems, filesystem);
        if (name)
            g_hash_table_add(seen, filesystem->name);
    }
    return guest;
}

void guest_filesystems_free(GuestFilesystems *guest)
{
    g_ptr_array_unref(guest->filesystems);
    g_free(guest);
}

const GuestFilesystem *guest_filesystems_find(const GuestFilesystems *guest,
                                              const char *mount_point)
{
    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        if (g_strcmp0(filesystem->mount_point, mount_point) == 0)
            return filesystem;
    }
    return NULL;
}

unsigned guest_filesystems_count_freezable(const GuestFilesystems *guest)
{
    unsigned count = 0;

    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        if (filesystem->freezable)
            count++;
    }
    return count;
}
