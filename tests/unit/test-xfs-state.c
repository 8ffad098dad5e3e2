/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/crc32c.h"
#include "prober/disk/xfs-state.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Blocks of 512 bytes: the superblock, then at LOG_START a log of LOG_BLOCKS. */
#define LOG_START 16
#define LOG_BLOCKS 64
#define IMAGE_BYTES ((LOG_START + LOG_BLOCKS) * 512)
#define START 0x01
#define COMMIT 0x02
#define UNMOUNT 0x20
#define BUFFER 0x123c
#define INODE 0x123b

static uint8_t image[IMAGE_BYTES];

static void be16(size_t at, uint16_t value)
{
    value = GUINT16_TO_BE(value);
    memcpy(image + at, &value, sizeof value);
}

static void be32(size_t at, uint32_t value)
{
    value = GUINT32_TO_BE(value);
    memcpy(image + at, &value, sizeof value);
}

static void seal(void)
{
    uint32_t crc;

    memset(image + 224, 0, 4);
    crc = GUINT32_TO_LE(~crc32c(CRC32C_START, image, 512));
    memcpy(image + 224, &crc, sizeof crc);
}

static void make_filesystem(void)
{
    memset(image, 0, sizeof image);
    memcpy(image, "XFSB", 4);
    be32(4, 512);
    memset(image + 32, 0xcd, 16);
    be32(52, LOG_START);
    be32(84, LOG_START + LOG_BLOCKS);
    be32(88, 1);
    be32(96, LOG_BLOCKS);
    be16(100, 5);
    be16(102, 512);
    image[124] = 7;
    seal();
    for (unsigned block = 0; block < LOG_BLOCKS; block++)
        be32((LOG_START + block) * 512, 4);
}

static size_t log_block(unsigned block)
{
    return (LOG_START + block % LOG_BLOCKS) * (size_t)512;
}

/* A record of two blocks, in cycle 5 and from the ring's end on in cycle 6, that holds a change of
 * what item and block say, or with UNMOUNT an unmount. */
static void add_record(unsigned block, unsigned tail, uint8_t flags, uint16_t item,
                       uint64_t buffer_block)
{
    size_t header = log_block(block), data = log_block(block + 1);

    be32(header, 0xfeedbabe);
    be32(header + 4, 5 + block / LOG_BLOCKS);
    be32(header + 8, 2);
    be32(header + 12, 512);
    be32(header + 16, 5 + block / LOG_BLOCKS);
    be32(header + 20, block % LOG_BLOCKS);
    be32(header + 24, 5 + tail / LOG_BLOCKS);
    be32(header + 28, tail % LOG_BLOCKS);
    be32(header + 40, flags == UNMOUNT ? 1 : 3);
    memset(image + header + 304, 0xcd, 16);
    be32(header + 320, 32768);
    memset(image + data, 0, 512);
    be32(data, 5 + (block + 1) / LOG_BLOCKS);
    image[data + 9] = flags;
    if (flags == UNMOUNT)
        return;
    be32(data + 12 + 4, 16);
    item = GUINT16_TO_LE(item);
    buffer_block = GUINT64_TO_LE(buffer_block);
    memcpy(image + data + 24, &item, sizeof item);
    image[data + 26] = 1;
    memcpy(image + data + 32, &buffer_block, sizeof buffer_block);
    image[data + 40 + 9] = COMMIT;
}

static FilesystemState *read_bytes(size_t length)
{
    g_autofree uint8_t *exact = g_memdup2(image, length);
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(exact, length);

    return xfs_state_read(bytes);
}

static void expect(DiskState expected, const char *because)
{
    g_autoptr(FilesystemState) state = read_bytes(sizeof image);

    ck_assert_msg(state->state == expected && strstr(state->because, because), "%s: %s",
                  disk_state_name(state->state), state->because);
}

/* What writes from block 0 to a head leaves. */
static void fill_until(unsigned head, unsigned tail, uint16_t last_item, uint64_t last_block)
{
    make_filesystem();
    for (unsigned block = 0; block + 2 < head; block += 2)
        add_record(block, block, START, block < tail ? INODE : BUFFER, 0);
    add_record(head - 2, tail, START, last_item, last_block);
}

START_TEST(superblock_alone_between_tail_and_head_is_quiet)
{
    g_autoptr(FilesystemState) state = NULL;

    fill_until(20, 16, BUFFER, 0);
    expect(DISK_STATE_QUIET, "tail 5:16, last record 5:18");
    state = read_bytes(sizeof image);
    ck_assert(state->idle_alike && !state->unmounted);
    ck_assert_uint_eq(state->generation, (uint64_t)5 << 32 | 18);
}
END_TEST

START_TEST(inode_between_tail_and_head_is_in_use)
{
    fill_until(20, 16, INODE, 0);
    expect(DISK_STATE_IN_USE, "inode");
}
END_TEST

START_TEST(buffer_that_is_not_the_superblock_is_in_use)
{
    fill_until(20, 16, BUFFER, 24);
    expect(DISK_STATE_IN_USE, "buffer at block 24");
}
END_TEST

START_TEST(unmount_record_at_the_head_is_a_clean_unmount)
{
    g_autoptr(FilesystemState) state = NULL;

    fill_until(20, 4, INODE, 0);
    add_record(20, 20, UNMOUNT, 0, 0);
    state = read_bytes(sizeof image);
    ck_assert_msg(state->state == DISK_STATE_QUIET && state->unmounted, "%s", state->because);
}
END_TEST

START_TEST(change_after_an_unmount_is_in_use)
{
    fill_until(20, 4, INODE, 0);
    add_record(20, 20, UNMOUNT, 0, 0);
    add_record(22, 22, START, INODE, 0);
    expect(DISK_STATE_IN_USE, "inode");
}
END_TEST

START_TEST(log_goes_on_at_the_beginning_of_the_ring)
{
    make_filesystem();
    for (unsigned block = 1; block < LOG_BLOCKS + 9; block += 2)
        add_record(block, LOG_BLOCKS - 3, START, block < LOG_BLOCKS - 3 ? INODE : BUFFER, 0);
    expect(DISK_STATE_QUIET, "tail 5:61, last record 6:7");
    add_record(LOG_BLOCKS - 1, LOG_BLOCKS - 3, START, INODE, 0);
    expect(DISK_STATE_IN_USE, "inode");
}
END_TEST

START_TEST(record_that_was_written_in_part_is_in_use)
{
    fill_until(20, 16, BUFFER, 0);
    be32(log_block(19), 4);
    expect(DISK_STATE_IN_USE, "written in part");
}
END_TEST

START_TEST(tail_that_is_no_record_is_unknown)
{
    fill_until(20, 17, BUFFER, 0);
    expect(DISK_STATE_UNKNOWN, "there is no log record 5:17");
}
END_TEST

START_TEST(log_of_superblock_changes_alone_is_not_read_without_end)
{
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(image, sizeof image);

    fill_until(20, 18, BUFFER, 0);
    be32(log_block(18) + 12, UINT32_MAX);
    filesystem_state_free(xfs_state_read(bytes));
    ck_assert_uint_lt(disk_bytes_count_read(bytes), 64 * 1024);
}
END_TEST

START_TEST(external_log_is_unknown)
{
    make_filesystem();
    be32(52, 0);
    seal();
    expect(DISK_STATE_UNKNOWN, "another device");
}
END_TEST

START_TEST(wrong_checksum_is_unknown)
{
    fill_until(20, 16, BUFFER, 0);
    image[300] ^= 1;
    expect(DISK_STATE_UNKNOWN, "checksum is wrong");
}
END_TEST

START_TEST(every_truncation_is_unknown)
{
    fill_until(20, 16, BUFFER, 0);
    for (size_t length = 0; length < sizeof image; length++) {
        g_autoptr(FilesystemState) state = read_bytes(length);
        ck_assert_msg(state->state == DISK_STATE_UNKNOWN, "%zu bytes: %s", length, state->because);
    }
}
END_TEST

/* Under ASan this finds reads beyond the image; without it, at least crashes. */
START_TEST(every_flipped_byte_is_survived)
{
    for (size_t at = 0; at < sizeof image; at++) {
        fill_until(20, 16, BUFFER, 0);
        image[at] = (uint8_t)~image[at];
        if (at < 512)
            seal();
        filesystem_state_free(read_bytes(sizeof image));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("xfs-state");
    TCase *tcase = tcase_create("xfs-state");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, superblock_alone_between_tail_and_head_is_quiet);
    tcase_add_test(tcase, inode_between_tail_and_head_is_in_use);
    tcase_add_test(tcase, buffer_that_is_not_the_superblock_is_in_use);
    tcase_add_test(tcase, unmount_record_at_the_head_is_a_clean_unmount);
    tcase_add_test(tcase, change_after_an_unmount_is_in_use);
    tcase_add_test(tcase, log_goes_on_at_the_beginning_of_the_ring);
    tcase_add_test(tcase, record_that_was_written_in_part_is_in_use);
    tcase_add_test(tcase, tail_that_is_no_record_is_unknown);
    tcase_add_test(tcase, log_of_superblock_changes_alone_is_not_read_without_end);
    tcase_add_test(tcase, external_log_is_unknown);
    tcase_add_test(tcase, wrong_checksum_is_unknown);
    tcase_add_test(tcase, every_truncation_is_unknown);
    tcase_add_test(tcase, every_flipped_byte_is_survived);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
