/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/btrfs-state.h"
#include "prober/disk/crc32c.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_BYTES (128 * 1024)
#define SUPERBLOCK (64 * 1024)

static uint8_t images[3][IMAGE_BYTES];

static void le64(uint8_t *image, size_t at, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    memcpy(image + at, &value, sizeof value);
}

static void seal(uint8_t *image)
{
    uint32_t crc = GUINT32_TO_LE(~crc32c(CRC32C_START, image + SUPERBLOCK + 32, 4096 - 32));

    memcpy(image + SUPERBLOCK, &crc, sizeof crc);
}

static void make(unsigned number, uint64_t devices, uint64_t generation, uint64_t log_root)
{
    uint8_t *image = images[number - 1];

    memset(image, 0, IMAGE_BYTES);
    memset(image + SUPERBLOCK + 32, 0xab, 16);
    le64(image, SUPERBLOCK + 48, SUPERBLOCK);
    memcpy(image + SUPERBLOCK + 64, "_BHRfS_M", 8);
    le64(image, SUPERBLOCK + 72, generation);
    le64(image, SUPERBLOCK + 96, log_root);
    le64(image, SUPERBLOCK + 136, devices);
    le64(image, SUPERBLOCK + 201, number);
    seal(image);
}

static GPtrArray *read_images(unsigned count, size_t length)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new_with_free_func(btrfs_device_free);

    for (unsigned i = 0; i < count; i++) {
        g_autofree char *name = g_strdup_printf("vd%c", 'a' + i);
        g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(images[i], length);
        g_ptr_array_add(devices, btrfs_device_new(name, bytes));
    }
    return btrfs_states_read(devices);
}

static void expect(unsigned count, DiskState expected, const char *because)
{
    g_autoptr(GPtrArray) states = read_images(count, IMAGE_BYTES);
    const FilesystemState *state = g_ptr_array_index(states, 0);

    ck_assert_uint_eq(states->len, 1);
    ck_assert_msg(state->state == expected && strstr(state->because, because), "%s: %s",
                  disk_state_name(state->state), state->because);
}

START_TEST(no_log_tree_is_quiet)
{
    make(1, 1, 42, 0);
    expect(1, DISK_STATE_QUIET, "generation 42");
}
END_TEST

START_TEST(log_tree_is_in_use)
{
    make(1, 1, 42, 4096);
    expect(1, DISK_STATE_IN_USE, "log_root 4096");
}
END_TEST

START_TEST(devices_of_one_filesystem_are_one_state)
{
    make(1, 2, 42, 0);
    make(2, 2, 42, 0);
    expect(2, DISK_STATE_QUIET, "generation 42");
}
END_TEST

START_TEST(missing_device_is_unknown)
{
    make(1, 3, 42, 0);
    make(2, 3, 42, 0);
    expect(2, DISK_STATE_UNKNOWN, "2 of its 3 devices are here, missing: 1");
}
END_TEST

START_TEST(log_tree_on_any_device_is_in_use_even_when_one_is_missing)
{
    make(1, 3, 42, 0);
    make(2, 3, 42, 4096);
    expect(2, DISK_STATE_IN_USE, "vdb");
}
END_TEST

START_TEST(devices_of_two_generations_are_unknown)
{
    make(1, 2, 42, 0);
    make(2, 2, 44, 0);
    expect(2, DISK_STATE_UNKNOWN, "vda is at generation 42, vdb at 44");
}
END_TEST

START_TEST(two_copies_of_one_device_are_two_filesystems)
{
    g_autoptr(GPtrArray) states = NULL;

    make(1, 1, 42, 0);
    memcpy(images[1], images[0], IMAGE_BYTES);
    states = read_images(2, IMAGE_BYTES);
    ck_assert_uint_eq(states->len, 2);
}
END_TEST

START_TEST(wrong_checksum_is_unknown)
{
    make(1, 1, 42, 0);
    images[0][SUPERBLOCK + 300] ^= 1;
    expect(1, DISK_STATE_UNKNOWN, "checksum (crc32c) is wrong");
}
END_TEST

START_TEST(checksum_that_is_not_computed_here_is_said)
{
    make(1, 1, 42, 0);
    images[0][SUPERBLOCK + 196] = 1;
    expect(1, DISK_STATE_QUIET, "checksum (xxhash64) was not verified");
}
END_TEST

START_TEST(every_truncation_is_unknown)
{
    make(1, 1, 42, 0);
    for (size_t length = SUPERBLOCK - 8; length < SUPERBLOCK + 4096; length++) {
        g_autoptr(GPtrArray) states = read_images(1, length);
        const FilesystemState *state = g_ptr_array_index(states, 0);
        ck_assert_int_eq(state->state, DISK_STATE_UNKNOWN);
    }
}
END_TEST

START_TEST(every_flipped_byte_is_survived)
{
    for (size_t at = SUPERBLOCK + 32; at < SUPERBLOCK + 4096; at++) {
        make(1, 2, 42, 0);
        images[0][at] = (uint8_t)~images[0][at];
        seal(images[0]);
        g_ptr_array_unref(read_images(1, IMAGE_BYTES));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("btrfs-state");
    TCase *tcase = tcase_create("btrfs-state");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(tcase, no_log_tree_is_quiet);
    tcase_add_test(tcase, log_tree_is_in_use);
    tcase_add_test(tcase, devices_of_one_filesystem_are_one_state);
    tcase_add_test(tcase, missing_device_is_unknown);
    tcase_add_test(tcase, log_tree_on_any_device_is_in_use_even_when_one_is_missing);
    tcase_add_test(tcase, devices_of_two_generations_are_unknown);
    tcase_add_test(tcase, two_copies_of_one_device_are_two_filesystems);
    tcase_add_test(tcase, wrong_checksum_is_unknown);
    tcase_add_test(tcase, checksum_that_is_not_computed_here_is_said);
    tcase_add_test(tcase, every_truncation_is_unknown);
    tcase_add_test(tcase, every_flipped_byte_is_survived);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
