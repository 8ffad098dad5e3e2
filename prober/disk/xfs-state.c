/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/xfs-state.h"

#include "prober/disk/crc32c.h"
#include "prober/disk/disk-field.h"
#include "prober/disk/xfs-log.h"

#define MAGIC "XFSB"
#define SUPERBLOCK_BYTES 512 /* what is looked at; its checksum is over a whole sector */
#define SECTOR_BYTES_MAX 32768
#define CRC_AT 224
#define BLOCK_BYTES_MIN 512u
#define BLOCK_BYTES_MAX 65536u
#define LOG_BYTES_MAX ((uint64_t)1 << 31) /* XFS_MAX_LOG_BYTES */

typedef struct {
    uint8_t raw[SUPERBLOCK_BYTES];
    uint16_t version; /* 4 or 5 */
    uint16_t sector_bytes;
    uint32_t block_bytes;
    uint64_t log_start; /* a filesystem block number: group << group_log | block; 0: external */
    uint32_t log_blocks;
    uint32_t group_blocks;
    uint32_t groups;
    uint8_t group_log;
} Superblock;

static bool read_superblock(DiskBytes *bytes, Superblock *superblock, GError **error)
{
    const uint8_t *raw = superblock->raw;

    if (!disk_bytes_read(bytes, 0, superblock->raw, sizeof superblock->raw, error))
        return false;
    superblock->block_bytes = disk_field_be32(raw + 4);
    superblock->log_start = disk_field_be64(raw + 48);
    superblock->group_blocks = disk_field_be32(raw + 84);
    superblock->groups = disk_field_be32(raw + 88);
    superblock->log_blocks = disk_field_be32(raw + 96);
    superblock->version = disk_field_be16(raw + 100) & 0xf;
    superblock->sector_bytes = disk_field_be16(raw + 102);
    superblock->group_log = raw[124];
    return true;
}

static bool has_magic(const Superblock *superblock)
{
    return memcmp(superblock->raw, MAGIC, strlen(MAGIC)) == 0;
}

bool xfs_state_recognises(DiskBytes *bytes)
{
    Superblock superblock;

    return read_superblock(bytes, &superblock, NULL) && has_magic(&superblock);
}

static bool checksum_is_right(DiskBytes *bytes, const Superblock *superblock)
{
    g_autofree uint8_t *sector = g_malloc(superblock->sector_bytes);
    uint32_t stored;

    if (!disk_bytes_read(bytes, 0, sector, superblock->sector_bytes, NULL))
        return false;
    stored = disk_field_le32(sector + CRC_AT);
    memset(sector + CRC_AT, 0, sizeof stored);
    return ~crc32c(CRC32C_START, sector, superblock->sector_bytes) == stored;
}

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* NULL when it can be worked with. */
static const char *find_problem(DiskBytes *bytes, const Superblock *superblock)
{
    if (superblock->version != 4 && superblock->version != 5)
        return "the superblock is of a version that is not read here";
    if (!is_power_of_two(superblock->sector_bytes) || superblock->sector_bytes < 512 ||
        superblock->sector_bytes > SECTOR_BYTES_MAX || !is_power_of_two(superblock->block_bytes) ||
        superblock->block_bytes < BLOCK_BYTES_MIN || superblock->block_bytes > BLOCK_BYTES_MAX)
        return "the superblock is damaged: its block sizes are impossible";
    if (superblock->version == 5 && !checksum_is_right(bytes, superblock))
        return "the superblock is damaged: its checksum is wrong";
    if (superblock->raw[126] != 0)
        return "mkfs.xfs was not done with it";
    return NULL;
}

/* NULL and *log when the log's place makes sense. */
static const char *locate_log(DiskBytes *bytes, const Superblock *superblock, XfsLog *log)
{
    uint64_t length = (uint64_t)superblock->log_blocks * superblock->block_bytes;
    uint64_t group, block;

    if (superblock->group_log < 1 || superblock->group_log > 31)
        return "the superblock is damaged: its allocation groups are impossible";
    group = superblock->log_start >> superblock->group_log;
    block = superblock->log_start & (((uint64_t)1 << superblock->group_log) - 1);
    if (group >= superblock->groups || block >= superblock->group_blocks || length == 0 ||
        length > LOG_BYTES_MAX)
        return "the superblock is damaged: its log lies nowhere";
    block += group * superblock->group_blocks;
    if (block > disk_bytes_size(bytes) / superblock->block_bytes ||
        length > disk_bytes_size(bytes) - block * superblock->block_bytes)
        return "its log lies beyond the end of the volume";
    *log = (XfsLog){
        .bytes = bytes,
        .offset_bytes = block * superblock->block_bytes,
        .blocks = (uint32_t)(length / XFS_LOG_BLOCK_BYTES),
        .uuid = superblock->raw + 32,
    };
    return NULL;
}

static char *describe_range(const XfsLogReading *reading)
{
    return g_strdup_printf("tail %" G_GUINT32_FORMAT ":%" G_GUINT32_FORMAT
                           ", last record %" G_GUINT32_FORMAT ":%" G_GUINT32_FORMAT,
                           (uint32_t)(reading->tail_lsn >> 32), (uint32_t)reading->tail_lsn,
                           (uint32_t)(reading->head_lsn >> 32), (uint32_t)reading->head_lsn);
}

static FilesystemState *judge_log(const XfsLogReading *reading)
{
    g_autofree char *range = describe_range(reading);
    FilesystemState *state;

    switch (reading->state) {
    case XFS_LOG_UNMOUNTED:
        state = filesystem_state_new(
            "xfs", DISK_STATE_QUIET,
            g_strdup_printf("the log ends in the record of a clean unmount (%s)", range));
        state->unmounted = true;
        break;
    case XFS_LOG_COVERED:
        state = filesystem_state_new(
            "xfs", DISK_STATE_QUIET,
            g_strdup_printf("the log holds nothing but the superblock (%s), as a freeze leaves it; "
                            "about a minute without changes would, too",
                            range));
        state->idle_alike = true;
        break;
    case XFS_LOG_DIRTY:
        state = filesystem_state_new(
            "xfs", DISK_STATE_IN_USE,
            g_strdup_printf("the log holds changes that were not written back: %s (%s)",
                            reading->what, range));
        break;
    case XFS_LOG_TORN:
    default:
        state = filesystem_state_new(
            "xfs", DISK_STATE_IN_USE,
            g_strdup_printf("a log record had been written in part (%s)", range));
        break;
    }
    state->generation = reading->head_lsn;
    filesystem_state_add_fact(state, "log", g_steal_pointer(&range));
    return state;
}

static FilesystemState *unknown(const char *problem)
{
    return filesystem_state_new("xfs", DISK_STATE_UNKNOWN, g_strdup(problem));
}

static FilesystemState *judge(DiskBytes *bytes, const Superblock *superblock)
{
    const char *problem = find_problem(bytes, superblock);
    g_autoptr(GError) error = NULL;
    XfsLogReading reading;
    FilesystemState *state;
    XfsLog log;

    if (problem)
        return unknown(problem);
    if (superblock->log_start == 0) {
        state = unknown("its log lies on another device, which is not looked at");
        state->remedy =
            g_strdup("verify a freeze while the guest runs: counters and canaries tell");
        return state;
    }
    problem = locate_log(bytes, superblock, &log);
    if (problem)
        return unknown(problem);
    if (xfs_log_read(&log, &reading, &error))
        state = judge_log(&reading);
    else
        state = filesystem_state_new("xfs", DISK_STATE_UNKNOWN,
                                     g_strdup_printf("the log cannot be read: %s", error->message));
    g_free(reading.what);
    return state;
}

FilesystemState *xfs_state_read(DiskBytes *bytes)
{
    g_autoptr(GError) error = NULL;
    FilesystemState *state;
    Superblock superblock;

    if (!read_superblock(bytes, &superblock, &error))
        return filesystem_state_new(
            NULL, DISK_STATE_UNKNOWN,
            g_strdup_printf("the superblock cannot be read: %s", error->message));
    if (!has_magic(&superblock))
        return filesystem_state_new(NULL, DISK_STATE_UNKNOWN,
                                    g_strdup("there is no xfs superblock"));
    state = judge(bytes, &superblock);
    state->uuid = filesystem_state_format_uuid(superblock.raw + 32);
    state->label = filesystem_state_format_label(superblock.raw + 108, 12);
    filesystem_state_add_fact(state, "version", g_strdup_printf("%u", superblock.version));
    return state;
}
