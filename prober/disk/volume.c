/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/volume.h"
#include "prober/disk/lvm-groups.h"
#include "prober/disk/md-arrays.h"
#include "prober/disk/partition-table.h"
#include "prober/disk/stacked-volume.h"
#include "prober/disk/volume-identity.h"
#include "prober/probe-error.h"

#include <string.h>

/* Something that is still to be looked at. */
typedef struct {
    char *name;
    char *disk;
    DiskBytes *bytes;
    unsigned depth;
} Candidate;

typedef struct {
    GPtrArray *volumes; /* of Volume */
    GQueue candidates;  /* of Candidate */
    GHashTable *names;  /* set of char * */
    MdArrays *arrays;
    LvmGroups *groups;
    unsigned depth; /* of what arrays and groups are made into */
} Search;

void volume_free(Volume *volume)
{
    g_free(volume->name);
    g_free(volume->disk);
    g_free(volume->fs_type);
    g_free(volume->uuid);
    g_free(volume->uuid_sub);
    g_free(volume->label);
    g_free(volume->note);
    g_clear_pointer(&volume->bytes, disk_bytes_unref);
    g_free(volume);
}

static void candidate_free(Candidate *candidate)
{
    g_free(candidate->name);
    g_free(candidate->disk);
    disk_bytes_unref(candidate->bytes);
    g_free(candidate);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Candidate, candidate_free)

/* Two guests' disks may well both have a "vg0/root". */
static char *unique_name(Search *search, const char *wanted)
{
    char *name = g_strdup(wanted);

    for (unsigned i = 2; g_hash_table_contains(search->names, name); i++) {
        g_free(name);
        name = g_strdup_printf("%s (%u)", wanted, i);
    }
    g_hash_table_add(search->names, g_strdup(name));
    return name;
}

static void add_candidate(Search *search, const char *name, const char *disk, DiskBytes *bytes,
                          unsigned depth)
{
    Candidate *candidate = g_new0(Candidate, 1);

    candidate->name = unique_name(search, name);
    candidate->disk = g_strdup(disk);
    candidate->bytes = disk_bytes_ref(bytes);
    candidate->depth = depth;
    g_queue_push_tail(&search->candidates, candidate);
}

/* ---- results ---- */

/* note is taken over. */
static Volume *add_volume(Search *search, VolumeKind kind, const Candidate *candidate,
                          const VolumeIdentity *identity, char *note)
{
    Volume *volume = g_new0(Volume, 1);

    volume->kind = kind;
    volume->name = g_strdup(candidate->name);
    volume->disk = g_strdup(candidate->disk);
    volume->note = note;
    if (identity) {
        volume->fs_type = g_strdup(identity->type);
        volume->uuid = g_strdup(identity->uuid);
        volume->uuid_sub = g_strdup(identity->uuid_sub);
        volume->label = g_strdup(identity->label);
    }
    if (kind == VOLUME_FILESYSTEM || kind == VOLUME_UNKNOWN)
        volume->bytes = disk_bytes_ref(candidate->bytes);
    g_ptr_array_add(search->volumes, volume);
    return volume;
}

static void add_opaque_stack(Search *search, const StackedVolume *stacked)
{
    Volume *volume = g_new0(Volume, 1);

    volume->kind = VOLUME_OPAQUE;
    volume->name = unique_name(search, stacked->name);
    volume->disk = g_strdup(stacked->disk);
    volume->fs_type = g_strdup(stacked->type);
    volume->note = g_strdup(stacked->note);
    g_ptr_array_add(search->volumes, volume);
}

/* ---- one candidate ---- */

static void take_member(Search *search, const Candidate *candidate, const VolumeIdentity *identity)
{
    g_autoptr(GError) problem = NULL;

    if (strcmp(identity->type, "LVM2_member") == 0)
        lvm_groups_add(search->groups, candidate->name, candidate->disk, candidate->bytes,
                       &problem);
    else if (strcmp(identity->type, "linux_raid_member") == 0)
        md_arrays_add(search->arrays, candidate->disk, candidate->bytes, identity->magic_offset,
                      &problem);
    else
        g_set_error(&problem, PROBE_ERROR, PROBE_ERROR_DISK, "a part of something larger (%s)",
                    identity->type);
    if (problem)
        add_volume(search, VOLUME_OPAQUE, candidate, identity, g_strdup(problem->message));
    else
        search->depth = MAX(search->depth, candidate->depth);
}

/* What is no filesystem, and holds none. */
static bool holds_no_filesystem(const char *type)
{
    static const char *const types[] = {"swap", "swsuspend", "jbd", "xfs_external_log", NULL};

    return g_strv_contains(types, type);
}

static void take_identified(Search *search, const Candidate *candidate,
                            const VolumeIdentity *identity)
{
    switch (identity->usage) {
    case VOLUME_USAGE_FILESYSTEM:
        add_volume(search, VOLUME_FILESYSTEM, candidate, identity, NULL);
        break;
    case VOLUME_USAGE_RAID:
        take_member(search, candidate, identity);
        break;
    case VOLUME_USAGE_CRYPTO:
        add_volume(search, VOLUME_OPAQUE, candidate, identity, g_strdup("encrypted"));
        break;
    case VOLUME_USAGE_AMBIGUOUS:
        add_volume(search, VOLUME_OPAQUE, candidate, NULL,
                   g_strdup("carries the marks of several types at once"));
        break;
    case VOLUME_USAGE_OTHER:
        if (holds_no_filesystem(identity->type))
            add_volume(search, VOLUME_NO_DATA, candidate, identity, NULL);
        else
            add_volume(search, VOLUME_OPAQUE, candidate, identity,
                       g_strdup_printf("cannot be looked into (%s)", identity->type));
        break;
    case VOLUME_USAGE_NONE:
        break;
    }
}

/* As Linux does: "sda2", but "nvme0n1p2". */
static char *partition_name(const char *disk, unsigned number)
{
    size_t length = strlen(disk);
    bool digit = length > 0 && g_ascii_isdigit(disk[length - 1]);

    return g_strdup_printf("%s%s%u", disk, digit ? "p" : "", number);
}

static void take_partitions(Search *search, const Candidate *candidate, const GArray *partitions)
{
    for (unsigned i = 0; i < partitions->len; i++) {
        const Partition *partition = &g_array_index(partitions, Partition, i);
        g_autofree char *name = partition_name(candidate->name, partition->number);
        g_autoptr(DiskBytes) bytes =
            disk_bytes_slice(candidate->bytes, partition->offset, partition->size);
        add_candidate(search, name, candidate->disk, bytes, candidate->depth + 1);
    }
}

static bool look_into(Search *search, const Candidate *candidate, GError **error)
{
    g_autoptr(VolumeWindow) window = volume_window_new(candidate->bytes, error);
    g_autoptr(VolumeIdentity) identity = window ? volume_identity_read(window, error) : NULL;
    g_autoptr(GArray) partitions = NULL;

    if (!identity)
        return false;
    /* Members of an array may begin with what is in the array, its partition table included. */
    if (identity->usage == VOLUME_USAGE_RAID || identity->usage == VOLUME_USAGE_CRYPTO) {
        take_identified(search, candidate, identity);
        return true;
    }
    partitions = partition_table_read(window, error);
    if (!partitions)
        return false;
    if (partitions->len > 0 && identity->usage != VOLUME_USAGE_NONE)
        add_volume(search, VOLUME_OPAQUE, candidate, identity,
                   g_strdup("carries a partition table and the mark of a filesystem: one of them "
                            "is a leftover"));
    else
        take_identified(search, candidate, identity);
    take_partitions(search, candidate, partitions);
    if (partitions->len == 0 && identity->usage == VOLUME_USAGE_NONE)
        add_volume(search, VOLUME_UNKNOWN, candidate, NULL,
                   g_strdup(volume_window_is_blank(window) ? "blank" : "nothing recognised"));
    return true;
}

static void look_at(Search *search, const Candidate *candidate)
{
    g_autoptr(GError) problem = NULL;

    if (candidate->depth > VOLUMES_MAX_DEPTH)
        add_volume(search, VOLUME_OPAQUE, candidate, NULL,
                   g_strdup("too many volumes inside each other"));
    else if (disk_bytes_size(candidate->bytes) == 0)
        add_volume(search, VOLUME_UNKNOWN, candidate, NULL, g_strdup("empty"));
    else if (!look_into(search, candidate, &problem))
        add_volume(search, VOLUME_OPAQUE, candidate, NULL, g_strdup(problem->message));
}

/* ---- all of them ---- */

static void take_stacked(Search *search, GPtrArray *taken)
{
    g_autoptr(GPtrArray) stacked = taken;

    for (unsigned i = 0; i < stacked->len; i++) {
        const StackedVolume *volume = g_ptr_array_index(stacked, i);
        if (volume->bytes)
            add_candidate(search, volume->name, volume->disk, volume->bytes, search->depth + 1);
        else
            add_opaque_stack(search, volume);
    }
}

static bool is_full(const Search *search)
{
    return search->volumes->len >= VOLUMES_MAX - 1;
}

static void look_at_candidates(Search *search)
{
    while (!is_full(search) && !g_queue_is_empty(&search->candidates)) {
        g_autoptr(Candidate) candidate = g_queue_pop_head(&search->candidates);
        look_at(search, candidate);
    }
}

/* A group waits for the arrays that may hold its parts, and counts as incomplete only when nothing
 * else is left to be looked at. */
static void search_all(Search *search)
{
    do {
        look_at_candidates(search);
        take_stacked(search, md_arrays_assemble(search->arrays));
        if (g_queue_is_empty(&search->candidates))
            take_stacked(search, lvm_groups_activate(search->groups));
        if (g_queue_is_empty(&search->candidates))
            take_stacked(search, lvm_groups_activate_partial(search->groups));
    } while (!is_full(search) && !g_queue_is_empty(&search->candidates));
}

static void end_search(Search *search)
{
    if (search->volumes->len > VOLUMES_MAX - 1)
        g_ptr_array_set_size(search->volumes, VOLUMES_MAX - 1);
    if (is_full(search)) {
        Candidate rest = {.name = (char *)"...", .disk = (char *)""};
        add_volume(
            search, VOLUME_OPAQUE, &rest, NULL,
            g_strdup_printf("more than %d volumes: the rest was not looked at", VOLUMES_MAX - 1));
    }
    g_queue_clear_full(&search->candidates, (GDestroyNotify)candidate_free);
    g_hash_table_unref(search->names);
    md_arrays_free(search->arrays);
    lvm_groups_free(search->groups);
}

GPtrArray *volumes_find(const GPtrArray *disks)
{
    Search search = {
        .volumes = g_ptr_array_new_with_free_func((GDestroyNotify)volume_free),
        .candidates = G_QUEUE_INIT,
        .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
        .arrays = md_arrays_new(),
        .groups = lvm_groups_new(),
    };

    for (unsigned i = 0; i < disks->len; i++) {
        const NamedDisk *disk = g_ptr_array_index(disks, i);
        add_candidate(&search, disk->name, disk->name, disk->bytes, 0);
    }
    search_all(&search);
    end_search(&search);
    return search.volumes;
}
