/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs under umockdev-wrapper: sysfs and /dev are made of fixtures/sysfs. */
#include "platform/block-stack.h"

#include <check.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <umockdev.h>
#include <unistd.h>

static UMockdevTestbed *testbed;
static MountTable *mounts;

static void setup(void)
{
    g_autofree char *path = g_build_filename(g_getenv("FIXTURES"), "sysfs/stacks.umockdev", NULL);
    g_autoptr(GError) error = NULL;

    testbed = umockdev_testbed_new();
    ck_assert_msg(umockdev_in_mock_environment(), "run me under umockdev-wrapper");
    ck_assert_msg(umockdev_testbed_add_from_file(testbed, path, &error), "%s",
                  error ? error->message : "");
    mounts = mount_table_new();
}

static void teardown(void)
{
    g_object_unref(testbed);
    mount_table_free(mounts);
}

static void add_mounts(const char *text)
{
    g_autofree char *path = g_strdup("/tmp/quiesced-test-XXXXXX");
    int fd = g_mkstemp(path);

    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    ck_assert(mount_table_add_file(mounts, path, 0, NULL));
    unlink(path);
}

/* /sys/fs/btrfs/UUID/devices/NAME... as the kernel links them; names ends with NULL. */
static void add_btrfs(const char *uuid, const char *const *names)
{
    g_autofree char *sys = umockdev_testbed_get_sys_dir(testbed);
    g_autofree char *folder = g_build_filename(sys, "fs/btrfs", uuid, "devices", NULL);

    ck_assert_int_eq(g_mkdir_with_parents(folder, 0755), 0);
    for (; *names; names++) {
        g_autofree char *link = g_build_filename(folder, *names, NULL);

        ck_assert_int_eq(symlink("../../../../devices/somewhere", link), 0);
    }
}

static BlockStack *stack_read(void)
{
    g_autoptr(GError) error = NULL;
    BlockStack *stack = block_stack_read(mounts, &error);

    ck_assert_msg(stack != NULL, "%s", error ? error->message : "");
    return stack;
}

static void assert_devices(const GArray *devices, const dev_t *expected, guint count)
{
    ck_assert_ptr_nonnull(devices);
    ck_assert_uint_eq(devices->len, count);
    for (guint i = 0; i < count; i++) {
        bool found = false;

        for (guint j = 0; j < devices->len; j++)
            found = found || g_array_index(devices, dev_t, j) == expected[i];
        ck_assert_msg(found, "%u:%u is missing", major(expected[i]), minor(expected[i]));
    }
}

START_TEST(all_devices_below_a_mount_are_known_and_no_others)
{
    g_autoptr(BlockStack) stack = NULL;

    add_mounts("20 1 253:0 / / rw - ext4 /dev/mapper/top rw\n");
    stack = stack_read();
    /* dm-0 on md127 on vda2 (on vda) and vdb */
    ck_assert_uint_eq(g_hash_table_size(stack->devices), 5);
    ck_assert_str_eq(block_stack_find(stack, makedev(254, 2))->name, "vda2");
    ck_assert_str_eq(block_stack_find(stack, makedev(9, 127))->name, "md127");
    ck_assert_ptr_null(block_stack_find(stack, makedev(254, 1)));
}
END_TEST

START_TEST(a_partition_lies_on_its_disk)
{
    g_autoptr(BlockStack) stack = NULL;
    const BlockDevice *partition;

    add_mounts("20 1 254:1 / / rw - ext4 /dev/vda1 rw\n");
    stack = stack_read();
    partition = block_stack_find(stack, makedev(254, 1));
    ck_assert(partition->partition);
    assert_devices(partition->lower, &(dev_t){makedev(254, 0)}, 1);
    ck_assert(!block_stack_find(stack, makedev(254, 0))->partition);
    ck_assert_uint_eq(block_stack_find(stack, makedev(254, 0))->lower->len, 0);
}
END_TEST

START_TEST(dm_and_md_lie_on_their_slaves)
{
    g_autoptr(BlockStack) stack = NULL;

    add_mounts("20 1 253:0 / / rw - ext4 /dev/mapper/top rw\n");
    stack = stack_read();
    assert_devices(block_stack_find(stack, makedev(253, 0))->lower, &(dev_t){makedev(9, 127)}, 1);
    assert_devices(block_stack_find(stack, makedev(9, 127))->lower,
                   (dev_t[]){makedev(254, 2), makedev(254, 16)}, 2);
}
END_TEST

START_TEST(a_partition_of_a_loop_device_leads_to_its_backing_file)
{
    g_autoptr(BlockStack) stack = NULL;

    add_mounts("20 1 259:7 / / rw - ext4 /dev/loop0p1 rw\n"
               "21 20 7:1 / /unbound rw - ext4 /dev/loop1 rw\n");
    stack = stack_read();
    assert_devices(block_stack_find(stack, makedev(259, 7))->lower, &(dev_t){makedev(7, 0)}, 1);
    ck_assert_str_eq(block_stack_find(stack, makedev(7, 0))->backing_file, "/srv/a file.img");
    ck_assert_ptr_null(block_stack_find(stack, makedev(7, 1))->backing_file);
    ck_assert_ptr_null(block_stack_find(stack, makedev(259, 7))->backing_file);
}
END_TEST

START_TEST(a_mount_whose_device_is_not_in_sysfs_is_no_error)
{
    g_autoptr(BlockStack) stack = NULL;

    add_mounts("20 1 99:1 / / rw - ext4 /dev/gone rw\n"
               "21 20 0:40 / /run rw - tmpfs tmpfs rw\n");
    stack = stack_read();
    ck_assert_uint_eq(g_hash_table_size(stack->devices), 0);
}
END_TEST

static guint64 number_of_btrfs(void)
{
    return makedev(0, 35);
}

START_TEST(a_btrfs_has_all_its_members_the_mounted_one_first)
{
    static const char *const members[] = {"vda2", "vdb", NULL};
    static const char *const others[] = {"vda1", NULL};
    g_autoptr(BlockStack) stack = NULL;
    guint64 key = number_of_btrfs();
    const GArray *found;

    add_btrfs("11111111-1111-1111-1111-111111111111", others);
    add_btrfs("22222222-2222-2222-2222-222222222222", members);
    add_mounts("20 1 0:35 / / rw - btrfs /dev/vdb rw\n"
               "21 20 0:35 /sub /sub rw - btrfs /dev/vdb rw\n");
    stack = stack_read();
    found = g_hash_table_lookup(stack->superblocks, &key);
    assert_devices(found, (dev_t[]){makedev(254, 2), makedev(254, 16)}, 2);
    ck_assert_uint_eq(g_array_index(found, dev_t, 0), makedev(254, 16));
    ck_assert_uint_eq(g_hash_table_size(stack->superblocks), 1);
    ck_assert_ptr_nonnull(block_stack_find(stack, makedev(254, 0)));
}
END_TEST

START_TEST(a_btrfs_that_sysfs_does_not_list_has_the_device_it_was_mounted_from)
{
    g_autoptr(BlockStack) stack = NULL;
    guint64 key = number_of_btrfs();

    add_mounts("20 1 0:35 / / rw - btrfs /dev/vda1 rw\n");
    stack = stack_read();
    assert_devices(g_hash_table_lookup(stack->superblocks, &key), &(dev_t){makedev(254, 1)}, 1);
}
END_TEST

START_TEST(a_btrfs_whose_device_is_gone_is_no_error)
{
    g_autoptr(BlockStack) stack = NULL;

    add_mounts("20 1 0:35 / / rw - btrfs /dev/nowhere rw\n");
    stack = stack_read();
    ck_assert_uint_eq(g_hash_table_size(stack->superblocks), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block-stack");
    TCase *tcase = tcase_create("sysfs");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, all_devices_below_a_mount_are_known_and_no_others);
    tcase_add_test(tcase, a_partition_lies_on_its_disk);
    tcase_add_test(tcase, dm_and_md_lie_on_their_slaves);
    tcase_add_test(tcase, a_partition_of_a_loop_device_leads_to_its_backing_file);
    tcase_add_test(tcase, a_mount_whose_device_is_not_in_sysfs_is_no_error);
    tcase_add_test(tcase, a_btrfs_has_all_its_members_the_mounted_one_first);
    tcase_add_test(tcase, a_btrfs_that_sysfs_does_not_list_has_the_device_it_was_mounted_from);
    tcase_add_test(tcase, a_btrfs_whose_device_is_gone_is_no_error);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
