/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/xfs-log.h"

#include "prober/disk/disk-field.h"
#include "prober/disk/xfs-record.h"
#include "prober/probe-error.h"

#define RECORDS_MAX 64
#define SEARCH_BLOCKS 32

typedef struct {
    uint32_t block; /* where its header lies */
    XfsRecord header;
} Found;

static bool fail(GError **error, const char *problem)
{
    g_set_error_literal(error, PROBE_ERROR, PROBE_ERROR_DISK, problem);
    return false;
}

/* Goes on at the ring's beginning; block < log->blocks, count <= log->blocks. */
static bool read_blocks(const XfsLog *log, uint32_t block, uint32_t count, uint8_t *buffer,
                        GError **error)
{
    uint32_t until_end = MIN(count, log->blocks - block);
    uint64_t offset = log->offset_bytes + (uint64_t)block * XFS_LOG_BLOCK_BYTES;
    size_t first_bytes = (size_t)until_end * XFS_LOG_BLOCK_BYTES;

    if (!disk_bytes_read(log->bytes, offset, buffer, first_bytes, error))
        return false;
    return count == until_end ||
           disk_bytes_read(log->bytes, log->offset_bytes, buffer + first_bytes,
                           (size_t)(count - until_end) * XFS_LOG_BLOCK_BYTES, error);
}

static bool read_cycle(const XfsLog *log, uint32_t block, uint32_t *cycle, GError **error)
{
    uint8_t raw[XFS_LOG_BLOCK_BYTES];

    if (!read_blocks(log, block, 1, raw, error))
        return false;
    *cycle = disk_field_be32(raw);
    if (*cycle == XFS_RECORD_MAGIC)
        *cycle = disk_field_be32(raw + 4);
    return true;
}

/* The block after the last one that was written in the newest cycle; it may be log->blocks. */
static bool find_head(const XfsLog *log, uint32_t *head, GError **error)
{
    uint32_t low = 0, high = log->blocks - 1, newest, oldest, cycle;

    if (!read_cycle(log, low, &newest, error) || !read_cycle(log, high, &oldest, error))
        return false;
    if (newest == 0)
        return fail(error, "the log was never written");
    *head = log->blocks;
    if (newest == oldest)
        return true;
    /* low is of the newest cycle, high is not. */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (!read_cycle(log, middle, &cycle, error))
            return false;
        if (cycle == newest)
            low = middle;
        else
            high = middle;
    }
    *head = high;
    return true;
}

/* The header that lies nearest before the head, by at most a record's length. */
static bool find_last_record(const XfsLog *log, uint32_t head, Found *found, GError **error)
{
    uint8_t raw[SEARCH_BLOCKS * XFS_LOG_BLOCK_BYTES];
    uint32_t limit = MIN(XFS_RECORD_BLOCKS_MAX, log->blocks);

    for (uint32_t back = 0; back < limit; back += SEARCH_BLOCKS) {
        uint32_t count = MIN(SEARCH_BLOCKS, limit - back);
        uint32_t first = (head + log->blocks - back - count) % log->blocks;
        if (!read_blocks(log, first, count, raw, error))
            return false;
        for (uint32_t i = count; i-- > 0;) {
            found->block = (first + i) % log->blocks;
            if (xfs_record_parse(raw + i * XFS_LOG_BLOCK_BYTES, log->uuid, &found->header) &&
                (uint32_t)found->header.lsn == found->block)
                return true;
        }
    }
    return fail(error, "no record lies before the log's head");
}

static char *format_lsn(uint64_t lsn)
{
    return g_strdup_printf("%" G_GUINT32_FORMAT ":%" G_GUINT32_FORMAT, (uint32_t)(lsn >> 32),
                           (uint32_t)lsn);
}

/* Reads the record and puts its words back; *intact tells whether its checksum is right. */
static uint8_t *load_record(const XfsLog *log, const Found *found, bool *intact, GError **error)
{
    g_autofree uint8_t *raw = NULL;

    if (found->header.blocks > log->blocks) {
        fail(error, "a record is longer than the log");
        return NULL;
    }
    raw = g_malloc((size_t)found->header.blocks * XFS_LOG_BLOCK_BYTES);
    if (!read_blocks(log, found->block, found->header.blocks, raw, error))
        return NULL;
    *intact = xfs_record_checksum_is_right(&found->header, raw);
    xfs_record_restore(&found->header, raw);
    return g_steal_pointer(&raw);
}

/* The header that must lie there, since the one before it ended there or named it as the tail. */
static bool read_header(const XfsLog *log, uint64_t lsn, Found *found, GError **error)
{
    uint8_t raw[XFS_LOG_BLOCK_BYTES];
    g_autofree char *name = format_lsn(lsn);

    found->block = (uint32_t)lsn;
    if (found->block >= log->blocks)
        return fail(error, "a record's number exceeds the log");
    if (!read_blocks(log, found->block, 1, raw, error))
        return false;
    if (xfs_record_parse(raw, log->uuid, &found->header) && found->header.lsn == lsn)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "there is no log record %s", name);
    return false;
}

/* Where the record after it begins. */
static uint64_t next_lsn(const XfsLog *log, const Found *found)
{
    uint64_t cycle = found->header.lsn >> 32;
    uint64_t block = (uint64_t)found->block + found->header.blocks;

    return block < log->blocks ? cycle << 32 | block : (cycle + 1) << 32 | (block - log->blocks);
}

static bool judge_record(const XfsLog *log, const Found *found, XfsLogReading *reading,
                         GError **error)
{
    bool intact;
    g_autofree uint8_t *raw = load_record(log, found, &intact, error);

    if (!raw)
        return false;
    reading->records++;
    if (!intact) {
        /* A kernel that recovers the log ends it here: the last writes did not all arrive. */
        reading->state = XFS_LOG_TORN;
        return true;
    }
    if (!xfs_record_find_change(&found->header, raw, &reading->what, error))
        return false;
    reading->state = reading->what ? XFS_LOG_DIRTY : XFS_LOG_COVERED;
    return true;
}

/* The tail is the oldest change that is not written back or, when there is none, the record before
 * the one that names it. So where one record alone lies between tail and head, and the last one
 * turns out to hold the superblock only, the last one came from a freeze (or an idle minute), which
 * had written everything back: Linux logs the superblock once more when it does not count the log
 * as in need of being covered (fs/xfs/xfs_log.c, xlog_assign_tail_lsn and xfs_log_cover). */
static bool may_be_written_back(const XfsLog *log, const XfsLogReading *reading, const Found *found)
{
    return reading->state == XFS_LOG_DIRTY && found->header.lsn == reading->tail_lsn &&
           next_lsn(log, found) == reading->head_lsn;
}

/* Ends at the first record that decides. */
static bool walk_from_tail(const XfsLog *log, XfsLogReading *reading, GError **error)
{
    uint64_t lsn = reading->tail_lsn;
    Found found;

    do {
        if (reading->records == RECORDS_MAX)
            return fail(error, "the log holds more changes of the superblock than were looked at");
        if (!read_header(log, lsn, &found, error) || !judge_record(log, &found, reading, error))
            return false;
        if (may_be_written_back(log, reading, &found))
            g_clear_pointer(&reading->what, g_free);
        else if (reading->state != XFS_LOG_COVERED)
            return true;
        lsn = next_lsn(log, &found);
    } while (found.header.lsn < reading->head_lsn);
    if (found.header.lsn != reading->head_lsn)
        return fail(error, "the log's tail lies after its head");
    return true;
}

static bool is_unmounted(const XfsLog *log, const Found *last, bool *unmounted, GError **error)
{
    bool intact;
    g_autofree uint8_t *raw = NULL;

    *unmounted = false;
    if (last->header.operations != 1)
        return true;
    raw = load_record(log, last, &intact, error);
    if (!raw)
        return false;
    *unmounted = intact && xfs_record_is_unmount(&last->header, raw);
    return true;
}

bool xfs_log_read(const XfsLog *log, XfsLogReading *reading, GError **error)
{
    uint32_t head;
    bool unmounted;
    Found last;

    *reading = (XfsLogReading){0};
    if (log->blocks < 2)
        return fail(error, "the log is too small");
    if (!find_head(log, &head, error) || !find_last_record(log, head, &last, error))
        return false;
    reading->head_lsn = last.header.lsn;
    reading->tail_lsn = last.header.tail_lsn;
    if ((uint32_t)next_lsn(log, &last) != head % log->blocks) {
        reading->state = XFS_LOG_TORN;
        return true;
    }
    if (!is_unmounted(log, &last, &unmounted, error))
        return false;
    if (unmounted) {
        reading->state = XFS_LOG_UNMOUNTED;
        return true;
    }
    if (reading->tail_lsn > reading->head_lsn || reading->head_lsn - reading->tail_lsn > (uint64_t)2
                                                                                             << 32)
        return fail(error, "the log's tail makes no sense");
    return walk_from_tail(log, reading, error);
}
