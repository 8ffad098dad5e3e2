/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/md-arrays.h"
#include "prober/disk/stacked-volume.h"
#include "prober/disk/volume.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define DISK_BYTES (2u * 1024 * 1024)
#define DATA_SECTORS 2048u
#define DATA_OFFSET 512u /* in sectors */

/* A member: its disk, and where its superblock lies. */
typedef struct {
    uint8_t data[DISK_BYTES];
    size_t superblock;
    bool old; /* 0.90 */
} Disk;

typedef enum { FORMAT_0_90, FORMAT_1_0, FORMAT_1_1, FORMAT_1_2, FORMATS } Format;

static void put_le(uint8_t *at, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static uint32_t get_le32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void seal(Disk *disk)
{
    uint8_t *superblock = disk->data + disk->superblock;
    size_t length = disk->old ? 4096 : 256 + 2 * get_le32(superblock + 220);
    size_t checksum = disk->old ? 38 * 4 : 216;
    uint64_t sum = 0;

    put_le(superblock + checksum, 0, 4);
    for (size_t i = 0; i < length; i += 4)
        sum += get_le32(superblock + i);
    put_le(superblock + checksum, (sum & 0xffffffff) + (sum >> 32), 4);
}

static void make_0_90(Disk *disk)
{
    uint8_t *superblock;

    disk->old = true;
    disk->superblock = DISK_BYTES / 65536 * 65536 - 65536;
    superblock = disk->data + disk->superblock;
    put_le(superblock, 0xa92b4efc, 4);
    put_le(superblock + 4 * 2, 90, 4);
    put_le(superblock + 4 * 5, 0x1234, 4);
    put_le(superblock + 4 * 7, 1, 4);
    put_le(superblock + 4 * 8, DATA_SECTORS / 2, 4);
    put_le(superblock + 4 * 9, 2, 4);
    put_le(superblock + 4 * 10, 2, 4);
    put_le(superblock + 4 * 11, 7, 4);
    put_le(superblock + 4 * (992 + 4), 6, 4);
}

static void make_1(Disk *disk, Format format)
{
    const size_t places[] = {0, (DISK_BYTES / SECTOR - 16) / 8 * 8 * SECTOR, 0, 4096};
    uint8_t *superblock;

    disk->superblock = places[format];
    superblock = disk->data + disk->superblock;
    put_le(superblock, 0xa92b4efc, 4);
    put_le(superblock + 4, 1, 4);
    memset(superblock + 16, 0x5a, 16);
    g_strlcpy((char *)superblock + 32, "host:7", 32);
    put_le(superblock + 72, 1, 4);
    put_le(superblock + 80, DATA_SECTORS, 8);
    put_le(superblock + 92, 2, 4);
    put_le(superblock + 128, format == FORMAT_1_0 ? 0 : DATA_OFFSET, 8);
    put_le(superblock + 136, DATA_SECTORS, 8);
    put_le(superblock + 144, disk->superblock / SECTOR, 8);
    put_le(superblock + 220, 4, 4);
}

/* A member of a RAID 1 of two; its data begin with a letter, and end with one. */
static Disk *disk_new(Format format, char letter)
{
    Disk *disk = g_new0(Disk, 1);
    size_t data = format == FORMAT_0_90 || format == FORMAT_1_0 ? 0 : DATA_OFFSET * SECTOR;

    disk->data[data] = (uint8_t)letter;
    disk->data[data + DATA_SECTORS * SECTOR - 1] = (uint8_t)letter;
    if (format == FORMAT_0_90)
        make_0_90(disk);
    else
        make_1(disk, format);
    seal(disk);
    return disk;
}

/* value at offset of the superblock, which stays valid. */
static void set(Disk *disk, size_t offset, uint64_t value, unsigned bytes)
{
    put_le(disk->data + disk->superblock + offset, value, bytes);
    seal(disk);
}

static bool add(MdArrays *arrays, const Disk *disk)
{
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(disk->data, sizeof disk->data);

    return md_arrays_add(arrays, "vda", bytes, disk->superblock, NULL);
}

static StackedVolume *assemble(const Disk *first, const Disk *second)
{
    g_autoptr(MdArrays) arrays = md_arrays_new();

    ck_assert(add(arrays, first));
    if (second)
        ck_assert(add(arrays, second));
    g_autoptr(GPtrArray) found = md_arrays_assemble(arrays);
    ck_assert_uint_eq(found->len, 1);
    g_autoptr(GPtrArray) again = md_arrays_assemble(arrays);
    ck_assert_uint_eq(again->len, 0);
    return g_ptr_array_steal_index(found, 0);
}

static void assert_content(const StackedVolume *volume, char letter)
{
    char ends[2];

    ck_assert_msg(volume->bytes, "%s", volume->note);
    ck_assert_uint_eq(disk_bytes_size(volume->bytes), DATA_SECTORS * SECTOR);
    ck_assert(disk_bytes_read(volume->bytes, 0, &ends[0], 1, NULL));
    ck_assert(disk_bytes_read(volume->bytes, DATA_SECTORS * SECTOR - 1, &ends[1], 1, NULL));
    ck_assert_int_eq(ends[0], letter);
    ck_assert_int_eq(ends[1], letter);
}

START_TEST(one_member_of_a_raid_1_tells_its_content_in_every_format)
{
    for (Format format = 0; format < FORMATS; format++) {
        g_autofree Disk *disk = disk_new(format, 'x');
        g_autoptr(StackedVolume) volume = assemble(disk, NULL);
        ck_assert_str_eq(volume->name, "md7");
        assert_content(volume, 'x');
    }
}
END_TEST

START_TEST(libblkid_and_we_agree_where_the_superblock_is)
{
    for (Format format = 0; format < FORMATS; format++) {
        g_autofree Disk *disk = disk_new(format, 'x');
        g_autoptr(GPtrArray) disks =
            g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
        g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(disk->data, sizeof disk->data);
        g_ptr_array_add(disks, named_disk_new("vda", bytes));
        g_autoptr(GPtrArray) volumes = volumes_find(disks);
        const Volume *volume = g_ptr_array_index(volumes, 0);
        ck_assert_uint_eq(volumes->len, 1);
        ck_assert_str_eq(volume->name, "md7");
        ck_assert_str_eq(volume->note, "nothing recognised");
    }
}
END_TEST

START_TEST(a_member_left_behind_or_spare_is_not_the_one_that_is_read)
{
    g_autofree Disk *stale = disk_new(FORMAT_1_2, 's');
    g_autofree Disk *fresh = disk_new(FORMAT_1_2, 'f');
    g_autofree Disk *spare = disk_new(FORMAT_1_2, 'x');

    set(stale, 200, 10, 8);
    set(fresh, 200, 11, 8);
    set(spare, 200, 12, 8);
    set(spare, 256, 0xffff, 2);
    g_autoptr(StackedVolume) forwards = assemble(stale, fresh);
    g_autoptr(StackedVolume) backwards = assemble(fresh, stale);
    g_autoptr(StackedVolume) beside = assemble(spare, fresh);
    g_autoptr(StackedVolume) alone = assemble(spare, NULL);
    assert_content(forwards, 'f');
    assert_content(backwards, 'f');
    assert_content(beside, 'f');
    ck_assert_ptr_null(alone->bytes);
}
END_TEST

START_TEST(a_member_that_is_still_being_rebuilt_is_not_read)
{
    g_autofree Disk *disk = disk_new(FORMAT_1_2, 'x');

    set(disk, 8, 2, 4);
    g_autoptr(StackedVolume) volume = assemble(disk, NULL);
    ck_assert_ptr_null(volume->bytes);
}
END_TEST

START_TEST(other_levels_and_reshaping_are_named)
{
    g_autofree Disk *disk = disk_new(FORMAT_1_2, 'x');

    set(disk, 72, 5, 4);
    g_autoptr(StackedVolume) parity = assemble(disk, NULL);
    ck_assert_ptr_null(parity->bytes);
    ck_assert_ptr_nonnull(strstr(parity->note, "RAID 5"));
    set(disk, 72, 1, 4);
    set(disk, 8, 4, 4);
    g_autoptr(StackedVolume) reshaping = assemble(disk, NULL);
    ck_assert_ptr_nonnull(strstr(reshaping->note, "reshaped"));
}
END_TEST

START_TEST(damaged_superblocks_and_impossible_sizes_are_errors)
{
    for (Format format = 0; format < FORMATS; format++) {
        g_autoptr(MdArrays) arrays = md_arrays_new();
        g_autofree Disk *disk = disk_new(format, 'x');
        disk->data[disk->superblock + 60] ^= 1;
        ck_assert(!add(arrays, disk));
    }
    static const struct {
        size_t offset;
        uint64_t value;
        unsigned bytes;
    } cases[] = {
        {80, UINT64_MAX, 8},           {80, DISK_BYTES / SECTOR, 8}, {128, UINT64_MAX, 8},
        {128, DISK_BYTES / SECTOR, 8}, {136, UINT64_MAX, 8},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MdArrays) arrays = md_arrays_new();
        g_autofree Disk *disk = disk_new(FORMAT_1_2, 'x');
        set(disk, cases[i].offset, cases[i].value, cases[i].bytes);
        ck_assert_msg(!add(arrays, disk), "case %u", i);
    }
    g_autoptr(MdArrays) arrays = md_arrays_new();
    g_autofree Disk *disk = disk_new(FORMAT_1_2, 'x');
    put_le(disk->data + disk->superblock + 220, 0xfffffff0, 4);
    ck_assert(!add(arrays, disk));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("md");
    TCase *tcase = tcase_create("md");

    tcase_add_test(tcase, one_member_of_a_raid_1_tells_its_content_in_every_format);
    tcase_add_test(tcase, libblkid_and_we_agree_where_the_superblock_is);
    tcase_add_test(tcase, a_member_left_behind_or_spare_is_not_the_one_that_is_read);
    tcase_add_test(tcase, a_member_that_is_still_being_rebuilt_is_not_read);
    tcase_add_test(tcase, other_levels_and_reshaping_are_named);
    tcase_add_test(tcase, damaged_superblocks_and_impossible_sizes_are_errors);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
