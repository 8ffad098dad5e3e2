/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/ext-state.h"

#include "prober/disk/crc32c.h"
#include "prober/disk/disk-field.h"
#include "prober/disk/ext-journal.h"

#define SUPERBLOCK_AT 1024
#define SUPERBLOCK_LENGTH 1024
#define MAGIC 0xef53
#define CHECKSUM_AT 0x3fc
#define CHECKSUM_CRC32C 1
#define STATE_VALID 0x1
#define STATE_ERRORS 0x2
#define COMPAT_HAS_JOURNAL 0x4
#define COMPAT_ORPHAN_FILE 0x1000
#define INCOMPAT_RECOVER 0x4
#define INCOMPAT_JOURNAL_DEV 0x8
#define INCOMPAT_OF_EXT3 0x16 /* FILETYPE, RECOVER, META_BG: more than these is ext4 */
#define RO_COMPAT_OF_EXT3 0x7 /* SPARSE_SUPER, LARGE_FILE, BTREE_DIR */
#define RO_COMPAT_METADATA_CSUM 0x400
#define RO_COMPAT_ORPHAN_PRESENT 0x10000

#define REMEDY_RUNNING "verify a freeze while the guest runs: counters and canaries tell"

typedef struct {
    uint8_t raw[SUPERBLOCK_LENGTH];
    uint32_t compat;
    uint32_t incompat;
    uint32_t ro_compat;
    uint16_t state;
} Superblock;

static bool read_superblock(DiskBytes *bytes, Superblock *superblock, GError **error)
{
    if (!disk_bytes_read(bytes, SUPERBLOCK_AT, superblock->raw, sizeof superblock->raw, error))
        return false;
    superblock->state = disk_field_le16(superblock->raw + 0x3a);
    superblock->compat = disk_field_le32(superblock->raw + 0x5c);
    superblock->incompat = disk_field_le32(superblock->raw + 0x60);
    superblock->ro_compat = disk_field_le32(superblock->raw + 0x64);
    return true;
}

static bool has_magic(const Superblock *superblock)
{
    return disk_field_le16(superblock->raw + 0x38) == MAGIC;
}

bool ext_state_recognises(DiskBytes *bytes)
{
    Superblock superblock;

    return read_superblock(bytes, &superblock, NULL) && has_magic(&superblock);
}

static const char *type_of(const Superblock *superblock)
{
    if (superblock->incompat & ~(uint32_t)INCOMPAT_OF_EXT3 ||
        superblock->ro_compat & ~(uint32_t)RO_COMPAT_OF_EXT3)
        return "ext4";
    return superblock->compat & COMPAT_HAS_JOURNAL ? "ext3" : "ext2";
}

/* NULL when it is right, or when there is none. */
static const char *checksum_problem(const Superblock *superblock)
{
    if (!(superblock->ro_compat & RO_COMPAT_METADATA_CSUM))
        return NULL;
    if (superblock->raw[0x175] != CHECKSUM_CRC32C)
        return "the superblock is damaged: it names a checksum that does not exist";
    if (crc32c(CRC32C_START, superblock->raw, CHECKSUM_AT) !=
        disk_field_le32(superblock->raw + CHECKSUM_AT))
        return "the superblock is damaged: its checksum is wrong";
    return NULL;
}

static int64_t time_at(const Superblock *superblock, size_t low, size_t high)
{
    return (int64_t)((uint64_t)superblock->raw[high] << 32 |
                     disk_field_le32(superblock->raw + low));
}

static void add_time(FilesystemState *state, const char *name, int64_t seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);

    if (seconds > 0 && time)
        filesystem_state_add_fact(state, name, g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ"));
}

static char *describe_orphans(const Superblock *superblock)
{
    uint32_t first = disk_field_le32(superblock->raw + 0xe8);

    if (superblock->ro_compat & RO_COMPAT_ORPHAN_PRESENT)
        return g_strdup("the orphan file may hold some");
    if (first != 0)
        return g_strdup_printf("deleted but open files, the first is inode %" G_GUINT32_FORMAT,
                               first);
    return g_strdup("none");
}

static void add_facts(FilesystemState *state, const Superblock *superblock)
{
    uint32_t errors = disk_field_le32(superblock->raw + 0x194);
    const char *valid = superblock->state & STATE_VALID ? "valid" : "not valid";

    filesystem_state_add_fact(
        state, "state",
        g_strdup_printf("%s%s", valid,
                        superblock->state & STATE_ERRORS ? ", errors were detected" : ""));
    if (errors != 0)
        filesystem_state_add_fact(state, "errors",
                                  g_strdup_printf("%" G_GUINT32_FORMAT " recorded", errors));
    filesystem_state_add_fact(state, "orphans", describe_orphans(superblock));
    add_time(state, "last mount", time_at(superblock, 0x2c, 0x275));
    add_time(state, "last write", time_at(superblock, 0x30, 0x274));
}

static FilesystemState *judge_without_journal(const char *type, const Superblock *superblock)
{
    FilesystemState *state;

    if (superblock->incompat & INCOMPAT_RECOVER)
        return filesystem_state_new(
            type, DISK_STATE_UNKNOWN,
            g_strdup("the superblock contradicts itself: needs_recovery without a journal"));
    if (superblock->state & STATE_VALID)
        return filesystem_state_new(
            type, DISK_STATE_QUIET,
            g_strdup("it has no journal, and s_state says valid: unmounted, mounted read-only, or "
                     "frozen by the ext2 driver"));
    state = filesystem_state_new(
        type, DISK_STATE_UNKNOWN,
        g_strdup("it has no journal, and s_state is not valid: it was mounted for writing, and "
                 "nothing on disk tells whether it was frozen then"));
    state->remedy = g_strdup(REMEDY_RUNNING ", or give it a journal (tune2fs -j)");
    return state;
}

static FilesystemState *judge_external_journal(const char *type, const Superblock *superblock)
{
    FilesystemState *state = filesystem_state_new(
        type, DISK_STATE_UNKNOWN,
        g_strdup_printf("its journal lies on another device, which is not looked at (the "
                        "superblock's needs_recovery is %s)",
                        superblock->incompat & INCOMPAT_RECOVER ? "set" : "clear"));

    state->remedy = g_strdup(REMEDY_RUNNING);
    return state;
}

static FilesystemState *judge_journal(const char *type, const Superblock *superblock,
                                      const ExtJournal *journal, const GError *problem)
{
    /* It counts alone: the kernel sets it first and clears it last. */
    if (superblock->incompat & INCOMPAT_RECOVER)
        return filesystem_state_new(
            type, DISK_STATE_IN_USE,
            g_strdup("needs_recovery is set: it was mounted for writing and not frozen"));
    if (problem)
        return filesystem_state_new(
            type, DISK_STATE_UNKNOWN,
            g_strdup_printf("needs_recovery is clear, but the journal cannot be read: %s",
                            problem->message));
    if (journal->start != 0)
        return filesystem_state_new(
            type, DISK_STATE_UNKNOWN,
            g_strdup_printf("needs_recovery is clear, but the journal is not empty (it starts at "
                            "block %" G_GUINT32_FORMAT "): these are not of one moment",
                            journal->start));
    return filesystem_state_new(
        type, DISK_STATE_QUIET,
        g_strdup_printf("needs_recovery is clear and the journal is empty (sequence "
                        "%" G_GUINT32_FORMAT "), as a freeze or an unmount leaves it",
                        journal->sequence));
}

static void add_journal_fact(FilesystemState *state, const ExtJournal *journal,
                             const GError *problem)
{
    if (problem)
        filesystem_state_add_fact(state, "journal", g_strdup(problem->message));
    else if (journal->start == 0)
        filesystem_state_add_fact(
            state, "journal",
            g_strdup_printf("empty, sequence %" G_GUINT32_FORMAT, journal->sequence));
    else
        filesystem_state_add_fact(state, "journal",
                                  g_strdup_printf("starts at block %" G_GUINT32_FORMAT
                                                  ", sequence %" G_GUINT32_FORMAT,
                                                  journal->start, journal->sequence));
    if (!problem && journal->error != 0)
        filesystem_state_add_fact(state, "journal error",
                                  g_strdup(g_strerror(ABS(CLAMP(journal->error, -4095, 4095)))));
}

static FilesystemState *judge(DiskBytes *bytes, const Superblock *superblock)
{
    const char *type = type_of(superblock);
    const char *problem = checksum_problem(superblock);
    g_autoptr(GError) error = NULL;
    ExtJournal journal = {0};
    FilesystemState *state;

    if (problem)
        return filesystem_state_new(type, DISK_STATE_UNKNOWN, g_strdup(problem));
    if (superblock->incompat & INCOMPAT_JOURNAL_DEV)
        return filesystem_state_new(
            type, DISK_STATE_UNKNOWN,
            g_strdup("it is not a filesystem but the journal of one on another device"));
    if (!(superblock->compat & COMPAT_HAS_JOURNAL))
        return judge_without_journal(type, superblock);
    if (disk_field_le32(superblock->raw + 0xe0) == 0)
        return judge_external_journal(type, superblock);
    ext_journal_read(bytes, superblock->raw, &journal, &error);
    state = judge_journal(type, superblock, &journal, error);
    add_journal_fact(state, &journal, error);
    return state;
}

FilesystemState *ext_state_read(DiskBytes *bytes)
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
                                    g_strdup("there is no ext superblock"));
    state = judge(bytes, &superblock);
    state->uuid = filesystem_state_format_uuid(superblock.raw + 0x68);
    state->label = filesystem_state_format_label(superblock.raw + 0x78, 16);
    /* A superblock whose checksum is wrong tells nothing further. */
    if (!checksum_problem(&superblock)) {
        add_facts(state, &superblock);
        state->generation = (uint64_t)time_at(&superblock, 0x30, 0x274);
    }
    return state;
}
