/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/volume.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024u * 1024)
#define SECTOR 512u

/* What sfdisk, mke2fs and mkswap made, in memory. */
typedef struct {
    uint8_t *data;
    size_t size;
} Image;

static void image_clear(Image *image)
{
    g_free(image->data);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Image, image_clear)

static Image image_new(size_t size)
{
    return (Image){.data = g_malloc0(size), .size = size};
}

/* Runs a program on the image as a file; script, if not NULL, goes to its standard input. */
static void image_run(Image *image, const char *script, const char *command)
{
    g_autofree char *folder = g_dir_make_tmp("test-volume-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "image", NULL);
    g_autofree char *line =
        g_strdup_printf("export PATH=$PATH:/usr/sbin:/sbin; printf '%%b' '%s' |"
                        " %s '%s' >'%s.log' 2>&1 || { cat '%s.log' >&2; false; }"
                        "; status=$?; rm -f '%s.log'; exit $status",
                        script ? script : "", command, path, path, path, path);
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    int status = -1;

    ck_assert(g_file_set_contents(path, (const char *)image->data, (gssize)image->size, NULL));
    ck_assert(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, NULL, NULL, &status, NULL));
    ck_assert_msg(status == 0, "%s", line);
    g_free(image->data);
    ck_assert(g_file_get_contents(path, (char **)&image->data, &image->size, NULL));
    g_unlink(path);
    g_rmdir(folder);
}

static void image_put(Image *image, size_t offset, const Image *part)
{
    ck_assert_uint_le(offset + part->size, image->size);
    memcpy(image->data + offset, part->data, part->size);
}

static Image ext4_image(const char *uuid)
{
    Image image = image_new(MIB);
    g_autofree char *command = g_strdup_printf("mke2fs -q -F -t ext4 -L data -U %s", uuid);

    image_run(&image, NULL, command);
    return image;
}

#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "66666666-7777-8888-9999-aaaaaaaaaaaa"

static GPtrArray *find_named(const char *name, const Image *image)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(image->data, image->size);

    g_ptr_array_add(disks, named_disk_new(name, bytes));
    return volumes_find(disks);
}

static GPtrArray *find(const Image *image)
{
    return find_named("vda", image);
}

static const Volume *volume_at(const GPtrArray *volumes, unsigned index)
{
    ck_assert_uint_lt(index, volumes->len);
    return g_ptr_array_index(volumes, index);
}

/* "vda1 ext4, vda2 swap" */
static char *outline(const GPtrArray *volumes)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < volumes->len; i++) {
        const Volume *volume = g_ptr_array_index(volumes, i);
        g_string_append_printf(text, "%s%s %s", i > 0 ? ", " : "", volume->name,
                               volume->fs_type ? volume->fs_type : volume->note);
    }
    return g_strdup(text->str);
}

static void assert_outline(const GPtrArray *volumes, const char *expected)
{
    g_autofree char *text = outline(volumes);

    ck_assert_str_eq(text, expected);
}

START_TEST(a_filesystem_on_the_whole_disk_is_found_with_all_its_names)
{
    g_auto(Image) image = ext4_image(UUID_A);
    g_autoptr(GPtrArray) volumes = find(&image);
    const Volume *volume = volume_at(volumes, 0);

    assert_outline(volumes, "vda ext4");
    ck_assert_int_eq(volume->kind, VOLUME_FILESYSTEM);
    ck_assert_str_eq(volume->uuid, UUID_A);
    ck_assert_str_eq(volume->label, "data");
    ck_assert_str_eq(volume->disk, "vda");
    ck_assert_uint_eq(disk_bytes_size(volume->bytes), MIB);
}
END_TEST

START_TEST(a_blank_disk_is_told_from_one_with_unknown_data)
{
    g_auto(Image) image = image_new(MIB);
    g_autoptr(GPtrArray) blank = find(&image);

    image.data[1000] = 1;
    g_autoptr(GPtrArray) unknown = find(&image);
    assert_outline(blank, "vda blank");
    assert_outline(unknown, "vda nothing recognised");
    ck_assert_int_eq(volume_at(unknown, 0)->kind, VOLUME_UNKNOWN);
}
END_TEST

START_TEST(logical_partitions_are_found_behind_the_primary_ones)
{
    g_auto(Image) disk = image_new(16 * MIB);
    g_auto(Image) first = ext4_image(UUID_A);
    g_auto(Image) last = ext4_image(UUID_B);

    image_run(&disk, "label: dos\\n2048,2048\\n4096,,5\\n6144,2048\\n10240,2048,82\\n14336,2048\\n",
              "sfdisk -q");
    image_put(&disk, 2048 * SECTOR, &first);
    image_put(&disk, 14336 * SECTOR, &last);
    g_autoptr(GPtrArray) volumes = find(&disk);
    assert_outline(volumes, "vda1 ext4, vda5 blank, vda6 blank, vda7 ext4");
    ck_assert_str_eq(volume_at(volumes, 3)->uuid, UUID_B);
}
END_TEST

static Image gpt_image(void)
{
    Image disk = image_new(8 * MIB);
    Image swap = image_new(MIB);
    g_auto(Image) filesystem = ext4_image(UUID_A);

    image_run(&disk, "label: gpt\\n2048,2048\\n4096,2048\\n", "sfdisk -q");
    image_run(&swap, NULL, "mkswap -q");
    image_put(&disk, 2048 * SECTOR, &filesystem);
    image_put(&disk, 4096 * SECTOR, &swap);
    image_clear(&swap);
    return disk;
}

START_TEST(a_gpt_is_read_and_swap_is_no_filesystem)
{
    g_auto(Image) disk = gpt_image();
    g_autoptr(GPtrArray) volumes = find(&disk);

    assert_outline(volumes, "vda1 ext4, vda2 swap");
    ck_assert_int_eq(volume_at(volumes, 1)->kind, VOLUME_NO_DATA);
}
END_TEST

START_TEST(the_backup_of_a_damaged_gpt_is_read)
{
    g_auto(Image) disk = gpt_image();

    memset(disk.data + SECTOR, 0xff, 33 * SECTOR);
    g_autoptr(GPtrArray) volumes = find(&disk);
    assert_outline(volumes, "vda1 ext4, vda2 swap");
}
END_TEST

START_TEST(partitions_of_a_disk_whose_name_ends_in_a_digit_get_a_p)
{
    g_auto(Image) disk = gpt_image();
    g_autoptr(GPtrArray) volumes = find_named("virtio0", &disk);

    assert_outline(volumes, "virtio0p1 ext4, virtio0p2 swap");
}
END_TEST

START_TEST(a_gpt_in_sectors_of_4096_bytes_is_read)
{
    g_auto(Image) disk = image_new(8 * MIB);
    g_auto(Image) filesystem = ext4_image(UUID_A);

    image_run(&disk, "g\\nn\\n1\\n256\\n511\\nw\\n", "fdisk -b 4096");
    image_put(&disk, 256 * 4096, &filesystem);
    g_autoptr(GPtrArray) volumes = find(&disk);
    assert_outline(volumes, "vda1 ext4");
}
END_TEST

static void put_le32(uint8_t *at, uint32_t number)
{
    number = GUINT32_TO_LE(number);
    memcpy(at, &number, sizeof number);
}

static void put_entry(uint8_t *record, unsigned index, uint8_t type, uint32_t start, uint32_t count)
{
    uint8_t *entry = record + 446 + index * 16;

    entry[4] = type;
    put_le32(entry + 8, start);
    put_le32(entry + 12, count);
    record[510] = 0x55;
    record[511] = 0xaa;
}

START_TEST(extended_partitions_that_lead_in_a_circle_are_followed_once)
{
    g_auto(Image) disk = image_new(8 * MIB);
    uint8_t *first = disk.data + 2048 * SECTOR;
    uint8_t *second = disk.data + 4096 * SECTOR;

    put_entry(disk.data, 0, 0x05, 2048, 8000);
    put_entry(first, 0, 0x83, 64, 1000);
    put_entry(first, 1, 0x05, 2048, 2000);
    put_entry(second, 0, 0x83, 64, 1000);
    put_entry(second, 1, 0x05, 0, 2000);
    g_autoptr(GPtrArray) volumes = find(&disk);
    ck_assert_uint_ge(volumes->len, 2);
    ck_assert_uint_lt(volumes->len, 8);

    put_entry(second, 1, 0x05, 2048, 2000);
    g_autoptr(GPtrArray) self = find(&disk);
    ck_assert_uint_lt(self->len, 8);
}
END_TEST

START_TEST(a_chain_without_end_is_cut)
{
    g_auto(Image) disk = image_new(16 * MIB);

    put_entry(disk.data, 0, 0x05, 2048, 30000);
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t *record = disk.data + (2048 + i * 8) * SECTOR;
        put_entry(record, 0, 0x83, 1, 6);
        put_entry(record, 1, 0x05, (i + 1) * 8, 8);
    }
    g_autoptr(GPtrArray) volumes = find(&disk);
    ck_assert_uint_gt(volumes->len, 50);
    ck_assert_uint_le(volumes->len, 256);
}
END_TEST

START_TEST(a_partition_beyond_the_end_of_a_truncated_disk_is_cut_short_or_left_out)
{
    g_auto(Image) disk = image_new(8 * MIB);

    image_run(&disk, "label: dos\\n2048,2048\\n4096,2048\\n", "sfdisk -q");
    disk.size = 2560 * SECTOR;
    g_autoptr(GPtrArray) volumes = find(&disk);
    assert_outline(volumes, "vda1 blank");
    ck_assert_uint_eq(disk_bytes_size(volume_at(volumes, 0)->bytes), 512 * SECTOR);
}
END_TEST

/* Whatever is in it, nothing crashes and nothing takes for ever. */
START_TEST(no_damage_to_tables_and_superblocks_does_any_harm)
{
    g_auto(Image) pristine = gpt_image();
    g_autoptr(GRand) random = g_rand_new_with_seed(4711);

    for (unsigned round = 0; round < 200; round++) {
        g_auto(Image) disk = image_new(pristine.size);
        memcpy(disk.data, pristine.data, disk.size);
        for (unsigned i = 0; i < 40; i++)
            disk.data[g_rand_int_range(random, 0, 40 * SECTOR)] =
                (uint8_t)g_rand_int_range(random, 0, 256);
        disk.data[2048 * SECTOR + 1024 + g_rand_int_range(random, 0, 1024)] ^= 0xff;
        if (g_rand_boolean(random))
            disk.size = (size_t)g_rand_int_range(random, 0, 99999);
        g_autoptr(GPtrArray) volumes = find(&disk);
        ck_assert_uint_le(volumes->len, VOLUMES_MAX);
    }
}
END_TEST

START_TEST(a_filesystem_under_a_partition_table_is_not_believed)
{
    g_auto(Image) disk = image_new(8 * MIB);

    image_run(&disk, NULL, "mke2fs -q -F -t ext4");
    image_run(&disk, "label: dos\\n2048,2048\\n", "sfdisk -q --wipe never");
    g_autoptr(GPtrArray) volumes = find(&disk);
    ck_assert_uint_eq(volumes->len, 2);
    ck_assert_int_eq(volume_at(volumes, 0)->kind, VOLUME_OPAQUE);
    ck_assert_str_eq(volume_at(volumes, 1)->name, "vda1");
}
END_TEST

static bool read_nothing(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    g_set_error_literal(error, g_quark_from_string("test"), 1, "the cable is loose");
    return false;
}

START_TEST(a_disk_that_cannot_be_read_is_opaque_and_says_why)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    g_autoptr(DiskBytes) bytes = disk_bytes_new(MIB, read_nothing, NULL, NULL);

    g_ptr_array_add(disks, named_disk_new("vda", bytes));
    g_autoptr(GPtrArray) volumes = volumes_find(disks);
    ck_assert_uint_eq(volumes->len, 1);
    ck_assert_int_eq(volume_at(volumes, 0)->kind, VOLUME_OPAQUE);
    ck_assert_ptr_nonnull(strstr(volume_at(volumes, 0)->note, "the cable is loose"));
}
END_TEST

static bool read_zeros(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    memset(buffer, 0, length);
    return true;
}

START_TEST(of_a_huge_disk_kilobytes_are_read)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    g_autoptr(DiskBytes) bytes = disk_bytes_new(UINT64_C(1) << 50, read_zeros, NULL, NULL);

    g_ptr_array_add(disks, named_disk_new("vda", bytes));
    g_autoptr(GPtrArray) volumes = volumes_find(disks);
    assert_outline(volumes, "vda blank");
    ck_assert_uint_le(disk_bytes_count_read(bytes), 512 * 1024);
}
END_TEST

START_TEST(the_same_names_are_kept_apart)
{
    g_auto(Image) image = ext4_image(UUID_A);
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(image.data, image.size);

    g_ptr_array_add(disks, named_disk_new("disk", bytes));
    g_ptr_array_add(disks, named_disk_new("disk", bytes));
    g_autoptr(GPtrArray) volumes = volumes_find(disks);
    assert_outline(volumes, "disk ext4, disk (2) ext4");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("volume");
    TCase *tcase = tcase_create("volume");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_filesystem_on_the_whole_disk_is_found_with_all_its_names);
    tcase_add_test(tcase, a_blank_disk_is_told_from_one_with_unknown_data);
    tcase_add_test(tcase, logical_partitions_are_found_behind_the_primary_ones);
    tcase_add_test(tcase, a_gpt_is_read_and_swap_is_no_filesystem);
    tcase_add_test(tcase, the_backup_of_a_damaged_gpt_is_read);
    tcase_add_test(tcase, partitions_of_a_disk_whose_name_ends_in_a_digit_get_a_p);
    tcase_add_test(tcase, a_gpt_in_sectors_of_4096_bytes_is_read);
    tcase_add_test(tcase, extended_partitions_that_lead_in_a_circle_are_followed_once);
    tcase_add_test(tcase, a_chain_without_end_is_cut);
    tcase_add_test(tcase, a_partition_beyond_the_end_of_a_truncated_disk_is_cut_short_or_left_out);
    tcase_add_test(tcase, no_damage_to_tables_and_superblocks_does_any_harm);
    tcase_add_test(tcase, a_filesystem_under_a_partition_table_is_not_believed);
    tcase_add_test(tcase, a_disk_that_cannot_be_read_is_opaque_and_says_why);
    tcase_add_test(tcase, of_a_huge_disk_kilobytes_are_read);
    tcase_add_test(tcase, the_same_names_are_kept_apart);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
