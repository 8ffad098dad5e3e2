/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/filesystem-state.h"

#include "prober/disk/btrfs-state.h"
#include "prober/disk/ext-state.h"
#include "prober/disk/xfs-state.h"

#include <string.h>

static void fact_free(void *data)
{
    DiskFact *fact = data;

    g_free(fact->name);
    g_free(fact->value);
    g_free(fact);
}

FilesystemState *filesystem_state_new(const char *fs_type, DiskState disk_state, char *because)
{
    FilesystemState *state = g_new0(FilesystemState, 1);

    state->fs_type = g_strdup(fs_type);
    state->state = disk_state;
    state->because = because;
    state->facts = g_ptr_array_new_with_free_func(fact_free);
    return state;
}

void filesystem_state_add_fact(FilesystemState *state, const char *name, char *value)
{
    DiskFact *fact = g_new0(DiskFact, 1);

    fact->name = g_strdup(name);
    fact->value = value;
    g_ptr_array_add(state->facts, fact);
}

void filesystem_state_free(FilesystemState *state)
{
    if (!state)
        return;
    g_free(state->volume);
    g_free(state->fs_type);
    g_free(state->uuid);
    g_free(state->label);
    g_free(state->because);
    g_free(state->remedy);
    g_ptr_array_unref(state->facts);
    g_free(state);
}

char *filesystem_state_format_uuid(const uint8_t *uuid)
{
    static const uint8_t none[16];
    GString *text;

    if (memcmp(uuid, none, sizeof none) == 0)
        return NULL;
    text = g_string_sized_new(36);
    for (unsigned i = 0; i < sizeof none; i++)
        g_string_append_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                               uuid[i]);
    return g_string_free(text, FALSE);
}

char *filesystem_state_format_label(const uint8_t *label, size_t length)
{
    g_autofree char *raw = g_strndup((const char *)label, length);

    return *raw ? g_utf8_make_valid(raw, -1) : NULL;
}

const char *disk_state_name(DiskState state)
{
    static const char *const names[] = {
        [DISK_STATE_QUIET] = "quiet",
        [DISK_STATE_IN_USE] = "in use",
        [DISK_STATE_UNKNOWN] = "unknown",
    };

    return names[state];
}

static bool is_ext(const char *fs_type)
{
    return fs_type && (strcmp(fs_type, "ext2") == 0 || strcmp(fs_type, "ext3") == 0 ||
                       strcmp(fs_type, "ext4") == 0);
}

/* What libblkid says, or else what the magic numbers say: it gives no name to a superblock whose
 * checksum is wrong. */
static const char *type_of(const Volume *volume)
{
    if (volume->kind == VOLUME_FILESYSTEM)
        return volume->fs_type;
    if (volume->kind != VOLUME_UNKNOWN || !volume->bytes)
        return NULL;
    if (ext_state_recognises(volume->bytes))
        return "ext4";
    if (xfs_state_recognises(volume->bytes))
        return "xfs";
    return btrfs_state_recognises(volume->bytes) ? "btrfs" : NULL;
}

static FilesystemState *read_other(const Volume *volume)
{
    FilesystemState *state;

    if (volume->kind == VOLUME_OPAQUE)
        return filesystem_state_new(
            volume->fs_type, DISK_STATE_UNKNOWN,
            g_strdup(volume->note ? volume->note : "it cannot be looked into"));
    state =
        filesystem_state_new(volume->fs_type, DISK_STATE_UNKNOWN,
                             g_strdup_printf("%s is not a filesystem whose metadata are read here",
                                             volume->fs_type ? volume->fs_type : "this"));
    state->remedy = g_strdup("verify a freeze while the guest runs: counters and canaries tell");
    return state;
}

static FilesystemState *read_single(const Volume *volume, const char *fs_type)
{
    if (volume->kind == VOLUME_OPAQUE || !volume->bytes)
        return read_other(volume);
    if (is_ext(fs_type))
        return ext_state_read(volume->bytes);
    if (strcmp(fs_type, "xfs") == 0)
        return xfs_state_read(volume->bytes);
    return read_other(volume);
}

/* What the volume knows counts where the reader knows nothing, and its type always: libblkid tells
 * the ext family's apart. */
static void describe_volume(FilesystemState *state, const Volume *volume)
{
    state->volume = g_strdup(volume->name);
    if (volume->fs_type) {
        g_free(state->fs_type);
        state->fs_type = g_strdup(volume->fs_type);
    }
    if (volume->uuid) {
        g_free(state->uuid);
        state->uuid = g_strdup(volume->uuid);
    }
    if (!state->label)
        state->label = g_strdup(volume->label);
}

static bool is_btrfs(const Volume *volume)
{
    return volume->bytes && volume->kind != VOLUME_OPAQUE &&
           g_strcmp0(type_of(volume), "btrfs") == 0;
}

static GPtrArray *find_btrfs_devices(const GPtrArray *volumes)
{
    GPtrArray *devices = g_ptr_array_new_with_free_func(btrfs_device_free);

    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        if (is_btrfs(volume))
            g_ptr_array_add(devices, btrfs_device_new(volume->name, volume->bytes));
    }
    return devices;
}

GPtrArray *filesystem_states_read(const GPtrArray *volumes)
{
    GPtrArray *states =
        g_ptr_array_new_with_free_func((GDestroyNotify)(void (*)(void))filesystem_state_free);
    g_autoptr(GPtrArray) devices = find_btrfs_devices(volumes);
    g_autoptr(GPtrArray) btrfs_states = btrfs_states_read(devices);

    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        const char *fs_type = type_of(volume);
        if (is_btrfs(volume) || (!fs_type && volume->kind != VOLUME_OPAQUE))
            continue;
        FilesystemState *state = read_single(volume, fs_type);
        describe_volume(state, volume);
        g_ptr_array_add(states, state);
    }
    g_ptr_array_extend_and_steal(states, g_steal_pointer(&btrfs_states));
    return states;
}
