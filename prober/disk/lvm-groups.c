/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/lvm-groups.h"
#include "prober/disk/lvm-label.h"
#include "prober/disk/stacked-volume.h"

#include <string.h>

#define SECTOR_BYTES 512u
#define MEMBER_TYPE "LVM2_member"

typedef struct {
    char *name;
    char *disk;
    DiskBytes *bytes;
    LvmLabel *label;
    bool used; /* a group names it */
} PhysicalVolume;

struct LvmGroups {
    GPtrArray *volumes; /* of PhysicalVolume */
    GHashTable *done;   /* set of char *: UUIDs of groups that were activated */
};

/* A group while it is activated. */
typedef struct {
    LvmGroups *groups;
    const LvmNode *text;
    uint64_t extent_bytes;
    GHashTable *cow_stores; /* set of borrowed char *: volumes that hold a snapshot's changes */
    GPtrArray *found;       /* of StackedVolume */
} Activation;

/* ---- physical volumes ---- */

static void physical_volume_free(PhysicalVolume *volume)
{
    g_free(volume->name);
    g_free(volume->disk);
    disk_bytes_unref(volume->bytes);
    lvm_label_free(volume->label);
    g_free(volume);
}

LvmGroups *lvm_groups_new(void)
{
    LvmGroups *groups = g_new0(LvmGroups, 1);

    groups->volumes = g_ptr_array_new_with_free_func((GDestroyNotify)physical_volume_free);
    groups->done = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return groups;
}

void lvm_groups_free(LvmGroups *groups)
{
    g_ptr_array_unref(groups->volumes);
    g_hash_table_unref(groups->done);
    g_free(groups);
}

bool lvm_groups_add(LvmGroups *groups, const char *name, const char *disk, DiskBytes *bytes,
                    GError **error)
{
    LvmLabel *label = lvm_label_read(bytes, error);

    if (!label)
        return false;
    PhysicalVolume *volume = g_new0(PhysicalVolume, 1);
    volume->name = g_strdup(name);
    volume->disk = g_strdup(disk);
    volume->bytes = disk_bytes_ref(bytes);
    volume->label = label;
    g_ptr_array_add(groups->volumes, volume);
    return true;
}

/* uuid as in the text, with hyphens; on disk there are none. */
static PhysicalVolume *find_by_uuid(const LvmGroups *groups, const char *uuid)
{
    g_auto(GStrv) parts = g_strsplit(uuid ? uuid : "", "-", -1);
    g_autofree char *plain = g_strjoinv(NULL, parts);

    for (unsigned i = 0; i < groups->volumes->len; i++) {
        PhysicalVolume *volume = g_ptr_array_index(groups->volumes, i);
        if (strcmp(volume->label->uuid, plain) == 0)
            return volume;
    }
    return NULL;
}

/* name: what the group's text calls it. */
static PhysicalVolume *find_by_name(const Activation *group, const char *name, const LvmNode **text)
{
    *text = lvm_node_find(lvm_node_find(group->text, "physical_volumes", LVM_SECTION), name,
                          LVM_SECTION);
    return *text ? find_by_uuid(group->groups, lvm_node_string(*text, "id")) : NULL;
}

/* ---- groups ---- */

/* Metadata hold one section: the group. */
static const LvmNode *group_of(const PhysicalVolume *volume)
{
    const LvmNode *metadata = volume->label->metadata;

    for (unsigned i = 0; metadata && i < metadata->children->len; i++) {
        const LvmNode *node = g_ptr_array_index(metadata->children, i);
        if (node->kind == LVM_SECTION && lvm_node_string(node, "id"))
            return node;
    }
    return NULL;
}

/* The next group that was not activated; of its copies the newest. */
static const LvmNode *next_group(const LvmGroups *groups, const GHashTable *passed_over)
{
    const LvmNode *best = NULL;
    uint64_t best_number = 0;

    for (unsigned i = 0; i < groups->volumes->len; i++) {
        const LvmNode *group = group_of(g_ptr_array_index(groups->volumes, i));
        const char *id = group ? lvm_node_string(group, "id") : NULL;
        uint64_t number = 0;
        if (!id || g_hash_table_contains(groups->done, id) ||
            g_hash_table_contains((GHashTable *)passed_over, id) ||
            (best && strcmp(id, lvm_node_string(best, "id")) != 0))
            continue;
        lvm_node_number(group, "seqno", &number);
        if (best && number <= best_number)
            continue;
        best = group;
        best_number = number;
    }
    return best;
}

/* Also notes which physical volumes are in use. */
static bool is_complete(const LvmGroups *groups, const LvmNode *group)
{
    const LvmNode *volumes = lvm_node_find(group, "physical_volumes", LVM_SECTION);
    bool complete = true;

    for (unsigned i = 0; volumes && i < volumes->children->len; i++) {
        const LvmNode *text = g_ptr_array_index(volumes->children, i);
        PhysicalVolume *volume = find_by_uuid(groups, lvm_node_string(text, "id"));
        if (volume)
            volume->used = true;
        else
            complete = false;
    }
    return complete;
}

/* ---- segments ---- */

/* The first element names the physical volume, the second its extent. */
static const LvmNode *linear_stripe(const LvmNode *segment, uint64_t *extent)
{
    const LvmNode *stripes = lvm_node_find(segment, "stripes", LVM_LIST);
    uint64_t count = 0;

    if (g_strcmp0(lvm_node_string(segment, "type"), "striped") != 0 ||
        !lvm_node_number(segment, "stripe_count", &count) || count != 1 || !stripes ||
        stripes->children->len != 2)
        return NULL;
    const LvmNode *name = g_ptr_array_index(stripes->children, 0);
    const LvmNode *number = g_ptr_array_index(stripes->children, 1);
    if (name->kind != LVM_STRING || number->kind != LVM_NUMBER || number->number < 0)
        return NULL;
    *extent = (uint64_t)number->number;
    return name;
}

static char *describe_segment(const LvmNode *segment)
{
    const char *type = lvm_node_string(segment, "type");
    uint64_t count = 0;

    if (g_strcmp0(type, "striped") == 0 && lvm_node_number(segment, "stripe_count", &count) &&
        count > 1)
        return g_strdup("a striped logical volume: only linear ones can be read");
    return g_strdup_printf("a logical volume of type '%s': only linear ones can be read",
                           type ? type : "?");
}

/* offset and size in bytes on the physical volume; false when the metadata name places that cannot
 * be. */
static bool locate(const Activation *group, const LvmNode *volume_text, uint64_t extent,
                   uint64_t extents, uint64_t volume_size, uint64_t *offset)
{
    uint64_t start = 0;
    uint64_t bytes = 0;

    return lvm_node_number(volume_text, "pe_start", &start) &&
           g_uint64_checked_mul(&start, start, SECTOR_BYTES) &&
           g_uint64_checked_mul(offset, extent, group->extent_bytes) &&
           g_uint64_checked_add(offset, *offset, start) &&
           g_uint64_checked_mul(&bytes, extents, group->extent_bytes) && *offset <= volume_size &&
           bytes <= volume_size - *offset;
}

/* NULL, with *note, when the segment cannot be read. */
static DiskBytes *map_segment(const Activation *group, const LvmNode *segment, const char **disk,
                              char **note)
{
    uint64_t extent = 0;
    uint64_t extents = 0;
    uint64_t offset = 0;
    const LvmNode *text = NULL;
    const LvmNode *stripe = linear_stripe(segment, &extent);

    if (!stripe || !lvm_node_number(segment, "extent_count", &extents)) {
        *note = describe_segment(segment);
        return NULL;
    }
    const PhysicalVolume *volume = find_by_name(group, stripe->string, &text);
    if (!volume) {
        *note = text ? g_strdup_printf("a part of it lies on a physical volume that is not among "
                                       "the disks given (%s)",
                                       lvm_node_string(text, "id"))
                     : g_strdup("a part of it lies on another logical volume");
        return NULL;
    }
    if (!locate(group, text, extent, extents, disk_bytes_size(volume->bytes), &offset)) {
        *note = g_strdup("its metadata name extents beyond the end of the physical volume");
        return NULL;
    }
    if (!*disk)
        *disk = volume->disk;
    return disk_bytes_slice(volume->bytes, offset, extents * group->extent_bytes);
}

/* ---- logical volumes ---- */

static gint compare_start(gconstpointer left, gconstpointer right)
{
    uint64_t starts[2] = {0, 0};

    lvm_node_number(*(const LvmNode *const *)left, "start_extent", &starts[0]);
    lvm_node_number(*(const LvmNode *const *)right, "start_extent", &starts[1]);
    return starts[0] < starts[1] ? -1 : starts[0] > starts[1];
}

/* Borrowed nodes, in the order of the volume's extents. */
static GPtrArray *segments_of(const LvmNode *volume)
{
    GPtrArray *segments = g_ptr_array_new();

    for (unsigned i = 0; i < volume->children->len; i++) {
        LvmNode *node = g_ptr_array_index(volume->children, i);
        if (node->kind == LVM_SECTION && g_str_has_prefix(node->name, "segment"))
            g_ptr_array_add(segments, node);
    }
    g_ptr_array_sort(segments, compare_start);
    return segments;
}

static bool follows(const LvmNode *segment, uint64_t expected, uint64_t *next)
{
    uint64_t start = 0;
    uint64_t count = 0;

    return lvm_node_number(segment, "start_extent", &start) &&
           lvm_node_number(segment, "extent_count", &count) && start == expected && count > 0 &&
           g_uint64_checked_add(next, start, count);
}

static DiskBytes *map_volume(const Activation *group, const LvmNode *volume, const char **disk,
                             char **note)
{
    g_autoptr(GPtrArray) segments = segments_of(volume);
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)disk_bytes_unref);
    uint64_t next = 0;

    for (unsigned i = 0; i < segments->len && i < LVM_GROUPS_MAX_SEGMENTS; i++) {
        const LvmNode *segment = g_ptr_array_index(segments, i);
        if (!follows(segment, next, &next))
            break;
        DiskBytes *part = map_segment(group, segment, disk, note);
        if (!part)
            return NULL;
        g_ptr_array_add(parts, part);
    }
    if (parts->len == 0 || parts->len < segments->len) {
        *note = g_strdup("its metadata contradict themselves: the segments leave gaps");
        return NULL;
    }
    return disk_bytes_concat(parts);
}

static const char *first_disk(const Activation *group)
{
    const LvmNode *volumes = lvm_node_find(group->text, "physical_volumes", LVM_SECTION);

    for (unsigned i = 0; volumes && i < volumes->children->len; i++) {
        const LvmNode *text = g_ptr_array_index(volumes->children, i);
        const PhysicalVolume *volume = find_by_uuid(group->groups, lvm_node_string(text, "id"));
        if (volume)
            return volume->disk;
    }
    return "";
}

static void activate_volume(const Activation *group, const LvmNode *volume)
{
    const char *disk = NULL;
    char *note = NULL;
    g_autoptr(DiskBytes) bytes = NULL;

    if (g_hash_table_contains(group->cow_stores, volume->name))
        note = g_strdup("a snapshot of another logical volume: it holds the differences only");
    else
        bytes = map_volume(group, volume, &disk, &note);
    char *name = g_strconcat(group->text->name, "/", volume->name, NULL);
    g_ptr_array_add(group->found, stacked_volume_new(name, disk ? disk : first_disk(group),
                                                     MEMBER_TYPE, bytes, note));
}

static void find_cow_stores(const Activation *group, const LvmNode *volumes)
{
    for (unsigned i = 0; volumes && i < volumes->children->len; i++) {
        const LvmNode *volume = g_ptr_array_index(volumes->children, i);
        for (unsigned s = 0; volume->children && s < volume->children->len; s++) {
            const LvmNode *segment = g_ptr_array_index(volume->children, s);
            const char *store = lvm_node_string(segment, "cow_store");
            if (segment->kind == LVM_SECTION && store)
                g_hash_table_add(group->cow_stores, (gpointer)store);
        }
    }
}

static void activate_group(LvmGroups *groups, const LvmNode *text, GPtrArray *found)
{
    const LvmNode *volumes = lvm_node_find(text, "logical_volumes", LVM_SECTION);
    g_autoptr(GHashTable) cow_stores = g_hash_table_new(g_str_hash, g_str_equal);
    Activation group = {.groups = groups, .text = text, .cow_stores = cow_stores, .found = found};
    uint64_t extent_sectors = 0;

    g_hash_table_add(groups->done, g_strdup(lvm_node_string(text, "id")));
    lvm_node_number(text, "extent_size", &extent_sectors);
    if (extent_sectors == 0 ||
        !g_uint64_checked_mul(&group.extent_bytes, extent_sectors, SECTOR_BYTES))
        group.extent_bytes = G_MAXUINT64; /* beyond every physical volume's end */
    find_cow_stores(&group, volumes);
    for (unsigned i = 0; volumes && i < volumes->children->len; i++) {
        const LvmNode *volume = g_ptr_array_index(volumes->children, i);
        if (volume->kind == LVM_SECTION && lvm_node_lists(volume, "status", "VISIBLE"))
            activate_volume(&group, volume);
    }
}

static GPtrArray *activate(LvmGroups *groups, bool partial)
{
    GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)stacked_volume_free);
    g_autoptr(GHashTable) passed_over = g_hash_table_new(g_str_hash, g_str_equal);
    const LvmNode *group;

    while ((group = next_group(groups, passed_over))) {
        if (is_complete(groups, group) || partial)
            activate_group(groups, group, found);
        else
            g_hash_table_add(passed_over, (gpointer)lvm_node_string(group, "id"));
    }
    return found;
}

GPtrArray *lvm_groups_activate(LvmGroups *groups)
{
    return activate(groups, false);
}

GPtrArray *lvm_groups_activate_partial(LvmGroups *groups)
{
    GPtrArray *found = activate(groups, true);

    for (unsigned i = 0; i < groups->volumes->len; i++) {
        PhysicalVolume *volume = g_ptr_array_index(groups->volumes, i);
        const LvmLabel *label = volume->label;
        if (volume->used)
            continue;
        volume->used = true;
        char *note = label->problem ? g_strdup(label->problem)
                                    : g_strdup("an LVM physical volume whose volume group is told "
                                               "by none of the disks given");
        g_ptr_array_add(found, stacked_volume_new(g_strdup(volume->name), volume->disk, MEMBER_TYPE,
                                                  NULL, note));
    }
    return found;
}
