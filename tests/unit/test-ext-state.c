/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/crc32c.h"
#include "prober/disk/ext-state.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A filesystem of 1 KiB blocks: superblock at 1, descriptors at 2, inodes at 3, journal at 8. */
#define IMAGE_BYTES 16384
#define SUPERBLOCK 1024
#define JOURNAL (8 * 1024)

static uint8_t image[IMAGE_BYTES];

static void le16(size_t at, uint16_t value)
{
    value = GUINT16_TO_LE(value);
    memcpy(image + at, &value, sizeof value);
}

static void le32(size_t at, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(image + at, &value, sizeof value);
}

static void be32(size_t at, uint32_t value)
{
    value = GUINT32_TO_BE(value);
    memcpy(image + at, &value, sizeof value);
}

static void seal(void)
{
    le32(SUPERBLOCK + 0x3fc, crc32c(CRC32C_START, image + SUPERBLOCK, 0x3fc));
}

/* ext4 with metadata_csum and a journal of its own, as a freeze leaves it. */
static void make_frozen(void)
{
    size_t inode = 3 * 1024 + 7 * 128;

    memset(image, 0, sizeof image);
    le32(SUPERBLOCK + 0x14, 1);
    le32(SUPERBLOCK + 0x28, 32);
    le32(SUPERBLOCK + 0x30, 1700000000);
    le16(SUPERBLOCK + 0x38, 0xef53);
    le16(SUPERBLOCK + 0x3a, 1);
    le32(SUPERBLOCK + 0x4c, 1);
    le16(SUPERBLOCK + 0x58, 128);
    le32(SUPERBLOCK + 0x5c, 0x4);
    le32(SUPERBLOCK + 0x60, 0x40);
    le32(SUPERBLOCK + 0x64, 0x400);
    le32(SUPERBLOCK + 0xe0, 8);
    image[SUPERBLOCK + 0x175] = 1;
    le32(2 * 1024 + 0x08, 3);
    le32(inode + 0x20, 0x80000);
    le16(inode + 0x28, 0xf30a);
    le16(inode + 0x2a, 1);
    le32(inode + 0x34 + 8, 8);
    be32(JOURNAL, 0xc03b3998);
    be32(JOURNAL + 4, 4);
    be32(JOURNAL + 0x18, 17);
    seal();
}

static FilesystemState *read_bytes(size_t length)
{
    g_autofree uint8_t *exact = g_memdup2(image, length);
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(exact, length);

    return ext_state_read(bytes);
}

static void expect(DiskState expected, const char *because)
{
    g_autoptr(FilesystemState) state = read_bytes(sizeof image);

    ck_assert_msg(state->state == expected && strstr(state->because, because), "%s: %s",
                  disk_state_name(state->state), state->because);
}

START_TEST(empty_journal_without_needs_recovery_is_quiet)
{
    make_frozen();
    expect(DISK_STATE_QUIET, "sequence 17");
}
END_TEST

START_TEST(needs_recovery_is_in_use_even_with_an_unreadable_journal)
{
    make_frozen();
    le32(SUPERBLOCK + 0x60, 0x44);
    seal();
    expect(DISK_STATE_IN_USE, "needs_recovery is set");
    memset(image + JOURNAL, 0, 1024);
    expect(DISK_STATE_IN_USE, "needs_recovery is set");
}
END_TEST

START_TEST(wrong_checksum_is_unknown)
{
    make_frozen();
    image[SUPERBLOCK + 0x80] ^= 1;
    expect(DISK_STATE_UNKNOWN, "checksum is wrong");
}
END_TEST

START_TEST(orphans_do_not_matter)
{
    make_frozen();
    le32(SUPERBLOCK + 0xe8, 12);
    seal();
    expect(DISK_STATE_QUIET, "journal is empty");
}
END_TEST

START_TEST(journal_that_is_not_empty_contradicts_the_superblock)
{
    make_frozen();
    be32(JOURNAL + 0x1c, 5);
    expect(DISK_STATE_UNKNOWN, "not of one moment");
}
END_TEST

START_TEST(journal_with_a_wrong_checksum_is_unknown)
{
    make_frozen();
    be32(JOURNAL + 0x28, 0x10);
    expect(DISK_STATE_UNKNOWN, "journal cannot be read");
}
END_TEST

START_TEST(external_journal_is_unknown)
{
    make_frozen();
    le32(SUPERBLOCK + 0xe0, 0);
    seal();
    expect(DISK_STATE_UNKNOWN, "another device");
}
END_TEST

START_TEST(without_a_journal_only_valid_tells)
{
    make_frozen();
    le32(SUPERBLOCK + 0x5c, 0);
    seal();
    expect(DISK_STATE_QUIET, "no journal");
    le16(SUPERBLOCK + 0x3a, 0);
    seal();
    expect(DISK_STATE_UNKNOWN, "no journal");
}
END_TEST

START_TEST(every_truncation_is_unknown)
{
    make_frozen();
    for (size_t length = 0; length < JOURNAL + 1024; length++) {
        g_autoptr(FilesystemState) state = read_bytes(length);
        ck_assert_msg(state->state == DISK_STATE_UNKNOWN, "%zu bytes: %s", length, state->because);
    }
}
END_TEST

/* Under ASan this finds reads beyond the image; without it, at least crashes. */
START_TEST(every_flipped_byte_is_survived)
{
    for (size_t at = 0; at < JOURNAL + 1024; at++) {
        make_frozen();
        image[at] = (uint8_t)~image[at];
        if (at < SUPERBLOCK + 0x3fc)
            seal();
        filesystem_state_free(read_bytes(sizeof image));
    }
}
END_TEST

START_TEST(crc32c_is_castagnolis)
{
    ck_assert_uint_eq(~crc32c(CRC32C_START, "123456789", 9), 0xe3069283);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ext-state");
    TCase *tcase = tcase_create("ext-state");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, empty_journal_without_needs_recovery_is_quiet);
    tcase_add_test(tcase, needs_recovery_is_in_use_even_with_an_unreadable_journal);
    tcase_add_test(tcase, wrong_checksum_is_unknown);
    tcase_add_test(tcase, orphans_do_not_matter);
    tcase_add_test(tcase, journal_that_is_not_empty_contradicts_the_superblock);
    tcase_add_test(tcase, journal_with_a_wrong_checksum_is_unknown);
    tcase_add_test(tcase, external_journal_is_unknown);
    tcase_add_test(tcase, without_a_journal_only_valid_tells);
    tcase_add_test(tcase, every_truncation_is_unknown);
    tcase_add_test(tcase, every_flipped_byte_is_survived);
    tcase_add_test(tcase, crc32c_is_castagnolis);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
