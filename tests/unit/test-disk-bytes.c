/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/disk-bytes.h"
#include "prober/probe-error.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";

static DiskBytes *letters(void)
{
    return disk_bytes_new_memory(alphabet, 26);
}

static void expect(DiskBytes *bytes, uint64_t offset, const char *text)
{
    char buffer[64] = "";
    g_autoptr(GError) error = NULL;

    ck_assert(disk_bytes_read(bytes, offset, buffer, strlen(text), &error));
    ck_assert_ptr_null(error);
    ck_assert_str_eq(buffer, text);
}

static void refuse(DiskBytes *bytes, uint64_t offset, size_t length)
{
    char untouched[64] = "untouched";
    g_autoptr(GError) error = NULL;

    ck_assert(!disk_bytes_read(bytes, offset, untouched, length, &error));
    ck_assert(g_error_matches(error, PROBE_ERROR, PROBE_ERROR_DISK));
    ck_assert_str_eq(untouched, "untouched");
}

/* A disk of any size: a byte's value is its offset's lowest byte. */
static bool read_pattern(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)(offset + i);
    return true;
}

static bool read_nothing(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "the cable is loose");
    return false;
}

static void count_free(void *data)
{
    ++*(int *)data;
}

START_TEST(a_range_inside_is_read)
{
    g_autoptr(DiskBytes) bytes = letters();

    ck_assert_uint_eq(disk_bytes_size(bytes), 26);
    expect(bytes, 0, "abc");
    expect(bytes, 23, "xyz");
    expect(bytes, 0, alphabet);
    expect(bytes, 26, "");
}
END_TEST

START_TEST(a_range_that_exceeds_the_size_is_an_error)
{
    g_autoptr(DiskBytes) bytes = letters();

    refuse(bytes, 24, 3);
    refuse(bytes, 26, 1);
    refuse(bytes, 27, 0);
    refuse(bytes, 0, 27);
}
END_TEST

START_TEST(an_offset_and_length_whose_sum_overflows_is_an_error)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(DiskBytes) slice = disk_bytes_slice(bytes, 4, 8);

    refuse(bytes, UINT64_MAX, 2);
    refuse(bytes, UINT64_MAX - 1, 4);
    refuse(bytes, 2, SIZE_MAX);
    refuse(slice, UINT64_MAX - 3, 4);
    refuse(slice, UINT64_MAX, SIZE_MAX);
}
END_TEST

START_TEST(a_slice_sees_only_its_part)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(DiskBytes) slice = disk_bytes_slice(bytes, 4, 8);

    ck_assert_uint_eq(disk_bytes_size(slice), 8);
    expect(slice, 0, "efghijkl");
    refuse(slice, 7, 2);
}
END_TEST

START_TEST(a_slice_is_cut_short_at_the_end_of_the_whole)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(DiskBytes) tail = disk_bytes_slice(bytes, 24, UINT64_MAX);
    g_autoptr(DiskBytes) beyond = disk_bytes_slice(bytes, UINT64_MAX, UINT64_MAX);

    ck_assert_uint_eq(disk_bytes_size(tail), 2);
    expect(tail, 0, "yz");
    ck_assert_uint_eq(disk_bytes_size(beyond), 0);
    expect(beyond, 0, "");
    refuse(beyond, 0, 1);
}
END_TEST

START_TEST(a_slice_of_a_slice_stays_inside_both)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(DiskBytes) slice = disk_bytes_slice(bytes, 4, 8);
    g_autoptr(DiskBytes) inner = disk_bytes_slice(slice, 6, 10);

    ck_assert_uint_eq(disk_bytes_size(inner), 2);
    expect(inner, 0, "kl");
    refuse(inner, 0, 3);
}
END_TEST

START_TEST(parts_are_read_one_after_the_other)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)disk_bytes_unref);

    g_ptr_array_add(parts, disk_bytes_slice(bytes, 20, 3));
    g_ptr_array_add(parts, disk_bytes_slice(bytes, 0, 0));
    g_ptr_array_add(parts, disk_bytes_slice(bytes, 0, 2));
    g_ptr_array_add(parts, disk_bytes_new_memory("0123", 4));
    g_autoptr(DiskBytes) joined = disk_bytes_concat(parts);

    ck_assert_uint_eq(disk_bytes_size(joined), 9);
    expect(joined, 0, "uvwab0123");
    expect(joined, 2, "wa");
    expect(joined, 3, "ab");
    expect(joined, 4, "b012");
    expect(joined, 8, "3");
    expect(joined, 9, "");
    refuse(joined, 8, 2);

    g_autoptr(DiskBytes) across = disk_bytes_slice(joined, 1, 5);
    expect(across, 0, "vwab0");
}
END_TEST

START_TEST(no_parts_make_an_empty_disk)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_autoptr(DiskBytes) joined = disk_bytes_concat(parts);

    ck_assert_uint_eq(disk_bytes_size(joined), 0);
    expect(joined, 0, "");
    refuse(joined, 0, 1);
    ck_assert_uint_eq(disk_bytes_count_read(joined), 0);
}
END_TEST

START_TEST(parts_whose_sizes_overflow_are_cut_short)
{
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)disk_bytes_unref);
    unsigned char buffer[4] = {0};

    g_ptr_array_add(parts, disk_bytes_new(UINT64_MAX - 2, read_pattern, NULL, NULL));
    g_ptr_array_add(parts, disk_bytes_new(UINT64_MAX, read_pattern, NULL, NULL));
    g_autoptr(DiskBytes) joined = disk_bytes_concat(parts);

    ck_assert_uint_eq(disk_bytes_size(joined), UINT64_MAX);
    ck_assert(disk_bytes_read(joined, UINT64_MAX - 4, buffer, 4, NULL));
    ck_assert_uint_eq(buffer[0], 0xfb);
    ck_assert_uint_eq(buffer[1], 0xfc);
    ck_assert_uint_eq(buffer[2], 0);
    ck_assert_uint_eq(buffer[3], 1);
    refuse(joined, UINT64_MAX - 1, 2);
}
END_TEST

START_TEST(what_is_read_is_counted_for_the_disk_as_a_whole)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(DiskBytes) slice = disk_bytes_slice(bytes, 4, 8);
    g_autoptr(DiskBytes) inner = disk_bytes_slice(slice, 2, 2);

    expect(bytes, 0, "abc");
    expect(inner, 0, "gh");
    refuse(inner, 0, 3);
    ck_assert_uint_eq(disk_bytes_count_read(bytes), 5);
    ck_assert_uint_eq(disk_bytes_count_read(slice), 5);
    ck_assert_uint_eq(disk_bytes_count_read(inner), 5);
}
END_TEST

START_TEST(a_disk_with_several_parts_in_a_volume_is_counted_once)
{
    g_autoptr(DiskBytes) bytes = letters();
    g_autoptr(DiskBytes) other = disk_bytes_new_memory("0123", 4);
    g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)disk_bytes_unref);

    g_ptr_array_add(parts, disk_bytes_slice(bytes, 0, 2));
    g_ptr_array_add(parts, disk_bytes_slice(bytes, 4, 2));
    g_ptr_array_add(parts, disk_bytes_ref(other));
    g_autoptr(DiskBytes) joined = disk_bytes_concat(parts);

    expect(joined, 0, "abef01");
    ck_assert_uint_eq(disk_bytes_count_read(joined), 6);
    ck_assert_uint_eq(disk_bytes_count_read(bytes), 4);
    ck_assert_uint_eq(disk_bytes_count_read(other), 2);
}
END_TEST

START_TEST(slices_share_the_budget_of_their_disk)
{
    const size_t step = DISK_BYTES_BUDGET / 4;
    g_autofree unsigned char *buffer = g_malloc(step + 1);
    g_autoptr(DiskBytes) bytes = disk_bytes_new(UINT64_MAX, read_pattern, NULL, NULL);
    g_autoptr(DiskBytes) slice = disk_bytes_slice(bytes, 1u << 20, UINT64_MAX);
    g_autoptr(DiskBytes) other = disk_bytes_new(UINT64_MAX, read_pattern, NULL, NULL);
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_ptr_array_add(parts, slice);
    g_ptr_array_add(parts, other);
    g_autoptr(DiskBytes) joined = disk_bytes_concat(parts);

    ck_assert(disk_bytes_read(bytes, 0, buffer, step, NULL));
    ck_assert(disk_bytes_read(slice, 0, buffer, step, NULL));
    ck_assert(disk_bytes_read(joined, 0, buffer, step, NULL));
    refuse(slice, 0, step + 1);
    ck_assert(disk_bytes_read(bytes, 0, buffer, step, NULL));
    refuse(bytes, 0, 1);
    refuse(slice, 0, 1);
    refuse(joined, 0, 1);
    ck_assert(disk_bytes_read(other, 0, buffer, 1, NULL));
    ck_assert_uint_eq(disk_bytes_count_read(bytes), DISK_BYTES_BUDGET);
}
END_TEST

START_TEST(an_error_of_the_reader_comes_through)
{
    g_autoptr(GError) error = NULL;
    char buffer[4];
    g_autoptr(DiskBytes) bytes = disk_bytes_new(100, read_nothing, NULL, NULL);
    g_autoptr(DiskBytes) slice = disk_bytes_slice(bytes, 10, 10);
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_ptr_array_add(parts, slice);
    g_autoptr(DiskBytes) joined = disk_bytes_concat(parts);

    ck_assert(!disk_bytes_read(joined, 0, buffer, sizeof buffer, &error));
    ck_assert_str_eq(error->message, "the cable is loose");
}
END_TEST

START_TEST(the_last_reference_of_any_kind_frees_the_disk_once)
{
    int freed = 0;
    DiskBytes *bytes = disk_bytes_new(100, read_pattern, &freed, count_free);
    DiskBytes *slice = disk_bytes_slice(bytes, 10, 20);
    DiskBytes *inner = disk_bytes_slice(slice, 5, 20);
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    g_ptr_array_add(parts, inner);
    g_ptr_array_add(parts, slice);
    DiskBytes *joined = disk_bytes_concat(parts);
    unsigned char first = 0;

    disk_bytes_unref(bytes);
    disk_bytes_unref(slice);
    disk_bytes_unref(inner);
    ck_assert_int_eq(freed, 0);
    ck_assert(disk_bytes_read(joined, 0, &first, 1, NULL));
    ck_assert_uint_eq(first, 15);
    disk_bytes_unref(joined);
    ck_assert_int_eq(freed, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk-bytes");
    TCase *tcase = tcase_create("disk-bytes");

    tcase_add_test(tcase, a_range_inside_is_read);
    tcase_add_test(tcase, a_range_that_exceeds_the_size_is_an_error);
    tcase_add_test(tcase, an_offset_and_length_whose_sum_overflows_is_an_error);
    tcase_add_test(tcase, a_slice_sees_only_its_part);
    tcase_add_test(tcase, a_slice_is_cut_short_at_the_end_of_the_whole);
    tcase_add_test(tcase, a_slice_of_a_slice_stays_inside_both);
    tcase_add_test(tcase, parts_are_read_one_after_the_other);
    tcase_add_test(tcase, no_parts_make_an_empty_disk);
    tcase_add_test(tcase, parts_whose_sizes_overflow_are_cut_short);
    tcase_add_test(tcase, what_is_read_is_counted_for_the_disk_as_a_whole);
    tcase_add_test(tcase, a_disk_with_several_parts_in_a_volume_is_counted_once);
    tcase_add_test(tcase, slices_share_the_budget_of_their_disk);
    tcase_add_test(tcase, an_error_of_the_reader_comes_through);
    tcase_add_test(tcase, the_last_reference_of_any_kind_frees_the_disk_once);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
