/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/btrfs-state.h"

#include "prober/disk/btrfs-devices.h"
#include "prober/disk/btrfs-superblock.h"

#include <string.h>

struct BtrfsDevice {
    char *name;
    DiskBytes *bytes;
    char *problem; /* why superblock does not hold; NULL: it does */
    BtrfsSuperblock superblock;
    unsigned stale_mirror; /* a mirror that the last commit had not reached; 0: none */
};

/* Mirrors that are missing or damaged, or of another filesystem, tell nothing. A mirror that lags
 * by more than a commit was damaged once, rather than being about to be written. */
static unsigned find_stale_mirror(const BtrfsDevice *device)
{
    const BtrfsSuperblock *primary = &device->superblock;
    g_autofree BtrfsSuperblock *mirror = g_new(BtrfsSuperblock, 1);

    for (unsigned i = 1; i <= BTRFS_MIRRORS; i++)
        if (btrfs_superblock_read(device->bytes, i, mirror, NULL) &&
            mirror->checksum == BTRFS_CHECKSUM_RIGHT &&
            memcmp(btrfs_superblock_uuid(mirror), btrfs_superblock_uuid(primary), 16) == 0 &&
            mirror->device == primary->device && mirror->generation < primary->generation &&
            primary->generation - mirror->generation == 1)
            return i;
    return 0;
}

BtrfsDevice *btrfs_device_new(const char *name, DiskBytes *bytes)
{
    BtrfsDevice *device = g_new0(BtrfsDevice, 1);
    g_autoptr(GError) error = NULL;

    device->name = g_strdup(name);
    device->bytes = disk_bytes_ref(bytes);
    if (!btrfs_superblock_read(bytes, 0, &device->superblock, &error))
        device->problem = g_strdup_printf("the superblock cannot be read: %s", error->message);
    else if (device->superblock.checksum == BTRFS_CHECKSUM_WRONG)
        device->problem = g_strdup_printf("the superblock is damaged: its checksum (%s) is wrong",
                                          device->superblock.checksum_name);
    else
        device->stale_mirror = find_stale_mirror(device);
    return device;
}

void btrfs_device_free(void *data)
{
    BtrfsDevice *device = data;

    g_free(device->name);
    g_free(device->problem);
    disk_bytes_unref(device->bytes);
    g_free(device);
}

bool btrfs_state_recognises(DiskBytes *bytes)
{
    g_autofree BtrfsSuperblock *superblock = g_new(BtrfsSuperblock, 1);

    return btrfs_superblock_read(bytes, 0, superblock, NULL);
}

/* One filesystem's devices; borrowed. The first one's superblock holds, unless it is alone. */
typedef struct {
    GPtrArray *devices;
    FilesystemState *state;
} Group;

static const BtrfsDevice *device_at(const Group *group, unsigned i)
{
    return g_ptr_array_index(group->devices, i);
}

static char *join_names(const Group *group)
{
    GString *names = g_string_new(NULL);

    for (unsigned i = 0; i < group->devices->len; i++)
        g_string_append_printf(names, "%s%s", i ? ", " : "", device_at(group, i)->name);
    return g_string_free(names, FALSE);
}

static void set_state(Group *group, DiskState disk_state, char *because)
{
    group->state = filesystem_state_new("btrfs", disk_state, because);
}

/* Each of these sets the state and returns true when it can decide. */
static bool judge_damage(Group *group)
{
    const BtrfsDevice *first = device_at(group, 0);

    if (!first->problem)
        return false;
    set_state(group, DISK_STATE_UNKNOWN, g_strdup(first->problem));
    return true;
}

static bool judge_log_root(Group *group)
{
    for (unsigned i = 0; i < group->devices->len; i++) {
        const BtrfsDevice *device = device_at(group, i);
        if (device->superblock.log_root == 0)
            continue;
        set_state(group, DISK_STATE_IN_USE,
                  g_strdup_printf("%s has a log tree (log_root %" G_GUINT64_FORMAT ", generation "
                                  "%" G_GUINT64_FORMAT "): files were fsynced and no commit, as a "
                                  "freeze makes one, came after that",
                                  device->name, device->superblock.log_root,
                                  device->superblock.generation));
        return true;
    }
    return false;
}

static bool judge_mirrors(Group *group)
{
    for (unsigned i = 0; i < group->devices->len; i++) {
        const BtrfsDevice *device = device_at(group, i);
        if (device->stale_mirror == 0)
            continue;
        set_state(group, DISK_STATE_IN_USE,
                  g_strdup_printf("a commit was being written: %s is at generation "
                                  "%" G_GUINT64_FORMAT ", its superblock's mirror %u still at the "
                                  "one before",
                                  device->name, device->superblock.generation,
                                  device->stale_mirror));
        group->state->by_unflushed = true;
        return true;
    }
    return false;
}

static bool judge_missing(Group *group)
{
    const BtrfsDevice *first = device_at(group, 0);
    g_autoptr(GPtrArray) present = NULL;
    g_autofree char *missing = NULL;

    if (group->devices->len >= first->superblock.devices)
        return false;
    present = g_ptr_array_new();
    for (unsigned i = 0; i < group->devices->len; i++)
        g_ptr_array_add(present, (void *)&device_at(group, i)->superblock);
    missing = btrfs_devices_describe_missing(first->bytes, &first->superblock, present);
    set_state(group, DISK_STATE_UNKNOWN,
              g_strdup_printf("%u of its %" G_GUINT64_FORMAT " devices %s here, missing: %s",
                              group->devices->len, first->superblock.devices,
                              group->devices->len == 1 ? "is" : "are", missing));
    group->state->remedy = g_strdup("name the images of all its devices in one call");
    return true;
}

static bool judge_generations(Group *group)
{
    const BtrfsDevice *first = device_at(group, 0);

    for (unsigned i = 1; i < group->devices->len; i++) {
        const BtrfsDevice *device = device_at(group, i);
        if (device->superblock.generation == first->superblock.generation)
            continue;
        set_state(group, DISK_STATE_UNKNOWN,
                  g_strdup_printf("its devices are not of one moment: %s is at generation "
                                  "%" G_GUINT64_FORMAT ", %s at %" G_GUINT64_FORMAT,
                                  first->name, first->superblock.generation, device->name,
                                  device->superblock.generation));
        group->state->remedy = g_strdup("take the snapshot of all its devices at once");
        return true;
    }
    return false;
}

static bool judge_quiet(Group *group)
{
    const BtrfsSuperblock *superblock = &device_at(group, 0)->superblock;
    g_autofree char *doubt = NULL;

    if (superblock->checksum == BTRFS_CHECKSUM_NOT_VERIFIED)
        doubt = g_strdup_printf("; the superblock's checksum (%s) was not verified",
                                superblock->checksum_name);
    set_state(group, DISK_STATE_QUIET,
              g_strdup_printf("there is no log tree (log_root 0, generation %" G_GUINT64_FORMAT
                              "), as a freeze leaves it; no fsync since the last commit would, "
                              "too%s",
                              superblock->generation, doubt ? doubt : ""));
    group->state->idle_alike = true;
    return true;
}

static bool (*const judges[])(Group *) = {
    judge_damage, judge_log_root, judge_mirrors, judge_missing, judge_generations, judge_quiet,
};

static void add_facts(Group *group)
{
    uint64_t generation = 0;

    for (unsigned i = 0; i < group->devices->len; i++) {
        const BtrfsDevice *device = device_at(group, i);
        const BtrfsSuperblock *superblock = &device->superblock;
        if (device->problem)
            continue;
        generation = MAX(generation, superblock->generation);
        filesystem_state_add_fact(group->state, "generation",
                                  g_strdup_printf("%" G_GUINT64_FORMAT
                                                  " on %s (device %" G_GUINT64_FORMAT
                                                  " of %" G_GUINT64_FORMAT ")",
                                                  superblock->generation, device->name,
                                                  superblock->device, superblock->devices));
        filesystem_state_add_fact(
            group->state, "log tree",
            superblock->log_root == 0
                ? g_strdup("none")
                : g_strdup_printf("at %" G_GUINT64_FORMAT, superblock->log_root));
    }
    group->state->generation = generation;
}

static FilesystemState *judge_group(Group *group)
{
    const uint8_t *raw = device_at(group, 0)->superblock.raw;

    for (unsigned i = 0; i < G_N_ELEMENTS(judges) && !judges[i](group); i++)
        ;
    group->state->volume = join_names(group);
    group->state->uuid = filesystem_state_format_uuid(raw + 32);
    group->state->label = filesystem_state_format_label(raw + 299, 256);
    add_facts(group);
    return group->state;
}

/* A damaged superblock's UUID cannot be believed: such a device stands alone. */
static bool belongs(const Group *group, const BtrfsDevice *device)
{
    const BtrfsDevice *first = device_at(group, 0);

    if (first->problem || device->problem ||
        memcmp(btrfs_superblock_uuid(&first->superblock),
               btrfs_superblock_uuid(&device->superblock), 16) != 0)
        return false;
    for (unsigned i = 0; i < group->devices->len; i++)
        if (device_at(group, i)->superblock.device == device->superblock.device)
            return false;
    return true;
}

static void group_free(void *data)
{
    Group *group = data;

    g_ptr_array_unref(group->devices);
    g_free(group);
}

static void add_to_groups(GPtrArray *groups, BtrfsDevice *device)
{
    Group *group;

    for (unsigned i = 0; i < groups->len; i++) {
        group = g_ptr_array_index(groups, i);
        if (belongs(group, device)) {
            g_ptr_array_add(group->devices, device);
            return;
        }
    }
    group = g_new0(Group, 1);
    group->devices = g_ptr_array_new();
    g_ptr_array_add(group->devices, device);
    g_ptr_array_add(groups, group);
}

GPtrArray *btrfs_states_read(const GPtrArray *devices)
{
    g_autoptr(GPtrArray) groups = g_ptr_array_new_with_free_func(group_free);
    GPtrArray *states =
        g_ptr_array_new_with_free_func((GDestroyNotify)(void (*)(void))filesystem_state_free);

    for (unsigned i = 0; i < devices->len; i++)
        add_to_groups(groups, g_ptr_array_index(devices, i));
    for (unsigned i = 0; i < groups->len; i++)
        g_ptr_array_add(states, judge_group(g_ptr_array_index(groups, i)));
    return states;
}
