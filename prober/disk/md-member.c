/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/md-member.h"
#include "prober/disk/disk-field.h"
#include "prober/probe-error.h"

#include <string.h>

#define MD_MAGIC 0xa92b4efcu
#define SECTOR_BYTES 512u
#define SUPERBLOCK_BYTES 4096u

/* Format 0.90: 32-bit words. */
enum {
    V0_MAJOR = 1,
    V0_SET_UUID0 = 5,
    V0_LEVEL = 7,
    V0_SIZE_KIB = 8,
    V0_RAID_DISKS = 10,
    V0_MD_MINOR = 11,
    V0_SET_UUID1 = 13,
    V0_CHECKSUM = 38,
    V0_EVENTS_LOW = 39,
    V0_EVENTS_HIGH = 40,
    V0_THIS_DISK_STATE = 992 + 4,
};
/* Bits of a disk's state. */
#define V0_DISK_FAULTY (1u << 0)
#define V0_DISK_ACTIVE (1u << 1)
#define V0_DISK_SYNC (1u << 2)

/* Formats 1.x: offsets in bytes. */
enum {
    V1_FEATURES = 8,
    V1_SET_UUID = 16,
    V1_SET_NAME = 32,
    V1_LEVEL = 72,
    V1_SIZE_SECTORS = 80,
    V1_RAID_DISKS = 92,
    V1_DATA_OFFSET = 128,
    V1_DATA_SIZE = 136,
    V1_DEV_NUMBER = 160,
    V1_EVENTS = 200,
    V1_CHECKSUM = 216,
    V1_MAX_DEV = 220,
    V1_ROLES = 256,
};
#define V1_NAME_BYTES 32
#define V1_FEATURE_RECOVERY_OFFSET (1u << 1)
#define V1_FEATURE_RESHAPE (1u << 2)
#define V1_MAX_DEVICES ((SUPERBLOCK_BYTES - V1_ROLES) / 2)
#define V1_ROLE_MAX 0xff00u

static uint32_t word(const uint8_t *data, unsigned index)
{
    return disk_field_le32(data + index * 4u);
}

static bool fail(GError **error, const char *what)
{
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "a member of an md array: %s", what);
    return false;
}

/* The sum of all words but the checksum's own, folded into 32 bits. */
static uint32_t checksum(const uint8_t *data, size_t bytes, size_t own_offset)
{
    uint64_t sum = 0;

    for (size_t offset = 0; offset + 4 <= bytes; offset += 4) {
        if (offset != own_offset)
            sum += disk_field_le32(data + offset);
    }
    if (bytes % 4 == 2)
        sum += disk_field_le16(data + bytes - 2);
    return (uint32_t)sum + (uint32_t)(sum >> 32);
}

static bool read_v0(MdMember *member, const uint8_t *data, GError **error)
{
    static const uint32_t alive = V0_DISK_ACTIVE | V0_DISK_SYNC;
    const unsigned uuid_words[] = {V0_SET_UUID0, V0_SET_UUID1, V0_SET_UUID1 + 1, V0_SET_UUID1 + 2};

    if (checksum(data, SUPERBLOCK_BYTES, V0_CHECKSUM * 4u) != word(data, V0_CHECKSUM))
        return fail(error, "its superblock (0.90) is damaged: the checksum is wrong");
    for (unsigned i = 0; i < G_N_ELEMENTS(uuid_words); i++)
        memcpy(member->array_uuid + i * 4u, data + uuid_words[i] * 4u, 4);
    uint32_t state = word(data, V0_THIS_DISK_STATE);
    member->name = g_strdup_printf("md%u", word(data, V0_MD_MINOR));
    member->level = (int32_t)word(data, V0_LEVEL);
    member->raid_disks = word(data, V0_RAID_DISKS);
    member->data_size = (uint64_t)word(data, V0_SIZE_KIB) * 1024;
    member->events = word(data, V0_EVENTS_LOW) | (uint64_t)word(data, V0_EVENTS_HIGH) << 32;
    member->active = (state & alive) == alive && !(state & V0_DISK_FAULTY);
    return true;
}

/* "HOST:NAME" or "NAME"; a number is what follows /dev/md, a word what follows /dev/md/. */
static char *array_name(const uint8_t *data)
{
    g_autofree char *full = g_strndup((const char *)data + V1_SET_NAME, V1_NAME_BYTES);
    const char *colon = strchr(full, ':');
    const char *name = colon ? colon + 1 : full;

    if (*name == '\0')
        return g_strdup("md");
    g_autofree char *valid = g_utf8_make_valid(name, -1);
    return g_strconcat(strspn(name, "0123456789") == strlen(name) ? "md" : "md/", valid, NULL);
}

static bool read_v1(MdMember *member, const uint8_t *data, GError **error)
{
    uint32_t max_dev = disk_field_le32(data + V1_MAX_DEV);
    uint32_t number = disk_field_le32(data + V1_DEV_NUMBER);
    uint32_t features = disk_field_le32(data + V1_FEATURES);

    if (max_dev > V1_MAX_DEVICES ||
        checksum(data, V1_ROLES + max_dev * 2u, V1_CHECKSUM) != disk_field_le32(data + V1_CHECKSUM))
        return fail(error, "its superblock (1.x) is damaged: the checksum is wrong");
    uint64_t offset = disk_field_le64(data + V1_DATA_OFFSET);
    uint64_t device_size = disk_field_le64(data + V1_DATA_SIZE);
    uint64_t size = disk_field_le64(data + V1_SIZE_SECTORS);
    if (MAX(MAX(offset, size), device_size) > G_MAXINT64 / SECTOR_BYTES)
        return fail(error, "its superblock names sizes that cannot be");
    memcpy(member->array_uuid, data + V1_SET_UUID, sizeof member->array_uuid);
    member->name = array_name(data);
    member->level = (int32_t)disk_field_le32(data + V1_LEVEL);
    member->raid_disks = disk_field_le32(data + V1_RAID_DISKS);
    member->data_offset = offset * SECTOR_BYTES;
    member->data_size = (size > 0 ? size : device_size) * SECTOR_BYTES;
    member->events = disk_field_le64(data + V1_EVENTS);
    member->reshaping = features & V1_FEATURE_RESHAPE;
    member->active = number < max_dev &&
                     disk_field_le16(data + V1_ROLES + number * 2u) < V1_ROLE_MAX &&
                     !(features & V1_FEATURE_RECOVERY_OFFSET);
    return true;
}

static bool check_size(const MdMember *member, uint64_t volume_size, GError **error)
{
    if (member->data_size > 0 && member->data_offset < volume_size &&
        member->data_size <= volume_size - member->data_offset)
        return true;
    return fail(error, "its superblock tells of more data than the volume can hold");
}

MdMember *md_member_read(DiskBytes *bytes, uint64_t superblock_offset, GError **error)
{
    uint8_t data[SUPERBLOCK_BYTES];
    g_autoptr(MdMember) member = g_new0(MdMember, 1);

    if (!disk_bytes_read(bytes, superblock_offset, data, sizeof data, error))
        return NULL;
    if (disk_field_le32(data) != MD_MAGIC) {
        fail(error, "it was written by a machine of the other byte order");
        return NULL;
    }
    bool read =
        word(data, V0_MAJOR) == 0 ? read_v0(member, data, error) : read_v1(member, data, error);
    if (!read || !check_size(member, disk_bytes_size(bytes), error))
        return NULL;
    return g_steal_pointer(&member);
}

void md_member_free(MdMember *member)
{
    g_free(member->name);
    g_free(member);
}

bool md_member_is_whole(const MdMember *member)
{
    if (member->reshaping)
        return false;
    return member->level == 1 ||
           (member->raid_disks == 1 && (member->level == 0 || member->level == -1));
}

const char *md_member_level_name(const MdMember *member)
{
    static const struct {
        int32_t level;
        const char *name;
    } table[] = {{-1, "linear"}, {0, "RAID 0"}, {1, "RAID 1"},  {4, "RAID 4"},
                 {5, "RAID 5"},  {6, "RAID 6"}, {10, "RAID 10"}};

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (table[i].level == member->level)
            return table[i].name;
    }
    return "unusual level";
}
