/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/md-arrays.h"
#include "prober/disk/stacked-volume.h"

#include <string.h>

typedef struct {
    char *disk;
    DiskBytes *bytes;
    MdMember *superblock;
} Member;

typedef struct {
    GPtrArray *members; /* of Member; at least one */
    bool assembled;
} Array;

struct MdArrays {
    GPtrArray *arrays; /* of Array */
};

static void member_free(Member *member)
{
    g_free(member->disk);
    disk_bytes_unref(member->bytes);
    md_member_free(member->superblock);
    g_free(member);
}

static void array_free(Array *array)
{
    g_ptr_array_unref(array->members);
    g_free(array);
}

MdArrays *md_arrays_new(void)
{
    MdArrays *arrays = g_new0(MdArrays, 1);

    arrays->arrays = g_ptr_array_new_with_free_func((GDestroyNotify)array_free);
    return arrays;
}

void md_arrays_free(MdArrays *arrays)
{
    g_ptr_array_unref(arrays->arrays);
    g_free(arrays);
}

static Array *find_array(MdArrays *arrays, const MdMember *superblock)
{
    for (unsigned i = 0; i < arrays->arrays->len; i++) {
        Array *array = g_ptr_array_index(arrays->arrays, i);
        const Member *first = g_ptr_array_index(array->members, 0);
        if (memcmp(first->superblock->array_uuid, superblock->array_uuid,
                   sizeof superblock->array_uuid) == 0)
            return array;
    }
    Array *array = g_new0(Array, 1);
    array->members = g_ptr_array_new_with_free_func((GDestroyNotify)member_free);
    g_ptr_array_add(arrays->arrays, array);
    return array;
}

bool md_arrays_add(MdArrays *arrays, const char *disk, DiskBytes *bytes, uint64_t superblock_offset,
                   GError **error)
{
    MdMember *superblock = md_member_read(bytes, superblock_offset, error);

    if (!superblock)
        return false;
    Member *member = g_new0(Member, 1);
    member->disk = g_strdup(disk);
    member->bytes = disk_bytes_ref(bytes);
    member->superblock = superblock;
    g_ptr_array_add(find_array(arrays, superblock)->members, member);
    return true;
}

static bool is_better(const MdMember *candidate, const MdMember *best)
{
    if (candidate->active != best->active)
        return candidate->active;
    return candidate->events > best->events;
}

static const Member *best_member(const Array *array)
{
    const Member *best = g_ptr_array_index(array->members, 0);

    for (unsigned i = 1; i < array->members->len; i++) {
        const Member *member = g_ptr_array_index(array->members, i);
        if (is_better(member->superblock, best->superblock))
            best = member;
    }
    return best;
}

static StackedVolume *assemble(const Array *array)
{
    const Member *member = best_member(array);
    const MdMember *superblock = member->superblock;
    char *note = NULL;

    if (superblock->reshaping)
        note = g_strdup("an md array that is being reshaped");
    else if (!md_member_is_whole(superblock))
        note = g_strdup_printf("an md array of %s: no single member tells what is in it",
                               md_member_level_name(superblock));
    else if (!superblock->active)
        note = g_strdup("no active member of this md array was found");
    if (note)
        return stacked_volume_new(g_strdup(superblock->name), member->disk, "linux_raid_member",
                                  NULL, note);
    g_autoptr(DiskBytes) data =
        disk_bytes_slice(member->bytes, superblock->data_offset, superblock->data_size);
    return stacked_volume_new(g_strdup(superblock->name), member->disk, "linux_raid_member", data,
                              NULL);
}

GPtrArray *md_arrays_assemble(MdArrays *arrays)
{
    GPtrArray *volumes = g_ptr_array_new_with_free_func((GDestroyNotify)stacked_volume_free);

    for (unsigned i = 0; i < arrays->arrays->len; i++) {
        Array *array = g_ptr_array_index(arrays->arrays, i);
        if (array->assembled)
            continue;
        array->assembled = true;
        g_ptr_array_add(volumes, assemble(array));
    }
    return volumes;
}
