/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/plan-fixture.h"

#include "platform/filesystem-list.h"

static GPtrArray *list;

static void forget_list(void)
{
    g_clear_pointer(&list, g_ptr_array_unref);
}

static const ListedFilesystem *listed_at(const char *mount_point)
{
    for (guint i = 0; i < list->len; i++) {
        const ListedFilesystem *filesystem = g_ptr_array_index(list, i);

        if (g_str_equal(filesystem->mount->mount_point, mount_point))
            return filesystem;
    }
    return NULL;
}

/* The disks as "254:0 254:16", in their order. */
static char *disks_of(const char *mount_point)
{
    const ListedFilesystem *filesystem = listed_at(mount_point);
    GString *text = g_string_new(NULL);

    ck_assert_ptr_nonnull(filesystem);
    for (guint i = 0; i < filesystem->disks->len; i++) {
        dev_t disk = g_array_index(filesystem->disks, dev_t, i);

        g_string_append_printf(text, "%s%u:%u", i > 0 ? " " : "", major(disk), minor(disk));
    }
    return g_string_free(text, FALSE);
}

static void assert_disks(const char *mount_point, const char *expected)
{
    g_autofree char *disks = disks_of(mount_point);

    ck_assert_str_eq(disks, expected);
}

static void add_disk(unsigned minor, const char *name)
{
    block_stack_add(stack, makedev(254, minor), name);
}

START_TEST(every_mount_of_a_block_device_is_listed_newest_first)
{
    static const char *const expected[] = {
        "/srv/rootfs", "/mnt/bind", "/snap/lxd/24322", "/snap/core20/1974",
        "/reference",  "/archive",  "/backup",         "/srv",
        "/boot/efi",   "/",
    };

    add_mounts("server", 0);
    list = filesystem_list_build(mounts, stack);
    ck_assert_uint_eq(list->len, G_N_ELEMENTS(expected));
    for (guint i = 0; i < list->len; i++)
        ck_assert_str_eq(((ListedFilesystem *)g_ptr_array_index(list, i))->mount->mount_point,
                         expected[i]);
}
END_TEST

START_TEST(mounts_of_other_namespaces_are_not_listed)
{
    add_mounts("nested", 0);
    add_mounts("container", 4711);
    list = filesystem_list_build(mounts, stack);
    ck_assert_uint_eq(list->len, 6);
    ck_assert_ptr_null(listed_at("/volume"));
}
END_TEST

START_TEST(subvolumes_are_listed_under_the_name_of_the_mounted_member)
{
    add_mounts("btrfs", 0);
    add_disk(2, "vda2");
    block_stack_add_superblock(stack, makedev(0, 31), makedev(254, 2));
    list = filesystem_list_build(mounts, stack);
    ck_assert_str_eq(listed_at("/")->name, "vda2");
    ck_assert_str_eq(listed_at("/home")->name, "vda2");
    ck_assert_str_eq(listed_at("/.top")->name, "vda2");
    ck_assert_ptr_null(listed_at("/pool"));
}
END_TEST

START_TEST(a_device_that_is_gone_is_named_by_its_source)
{
    add_mounts("server", 0);
    list = filesystem_list_build(mounts, stack);
    ck_assert_str_eq(listed_at("/srv")->name, "data-srv");
    assert_disks("/srv", "");
}
END_TEST

START_TEST(the_bottom_of_a_partition_is_the_partition)
{
    BlockDevice *partition;

    add_mounts("server", 0);
    add_disk(0, "vda");
    partition = block_stack_add(stack, makedev(254, 1), "vda1");
    partition->partition = true;
    block_device_add_lower(partition, makedev(254, 0));
    list = filesystem_list_build(mounts, stack);
    ck_assert_str_eq(listed_at("/")->name, "vda1");
    assert_disks("/", "254:1");
}
END_TEST

START_TEST(dm_on_md_ends_at_each_disk_once)
{
    BlockDevice *logical, *array;

    add_mounts("server", 0);
    add_disk(16, "vdb");
    add_disk(32, "vdc");
    array = block_stack_add(stack, makedev(9, 1), "md1");
    block_device_add_lower(array, makedev(254, 16));
    block_device_add_lower(array, makedev(254, 32));
    logical = block_stack_add(stack, makedev(253, 2), "dm-2");
    block_device_add_lower(logical, makedev(9, 1));
    block_device_add_lower(logical, makedev(254, 32));
    list = filesystem_list_build(mounts, stack);
    ck_assert_str_eq(listed_at("/srv")->name, "dm-2");
    assert_disks("/srv", "254:16 254:32");
}
END_TEST

START_TEST(a_loop_file_ends_at_the_disk_of_its_filesystem)
{
    add_nest();
    add_disk(0, "vda");
    list = filesystem_list_build(mounts, stack);
    assert_disks("/b", "254:0");
    assert_disks("/c", "254:0");
}
END_TEST

START_TEST(every_member_of_a_btrfs_is_among_its_disks)
{
    add_mounts("btrfs", 0);
    add_disk(16, "vdb");
    add_disk(32, "vdc");
    block_stack_add_superblock(stack, makedev(0, 35), makedev(254, 16));
    block_stack_add_superblock(stack, makedev(0, 35), makedev(254, 32));
    list = filesystem_list_build(mounts, stack);
    assert_disks("/pool", "254:16 254:32");
}
END_TEST

START_TEST(a_covered_mount_is_listed_as_hidden)
{
    add_mounts("covered", 0);
    list = filesystem_list_build(mounts, stack);
    ck_assert(listed_at("/deep/below")->hidden);
    ck_assert(!listed_at("/deep")->hidden);
}
END_TEST

START_TEST(nothing_is_asked_of_a_mount_behind_a_network_filesystem)
{
    add_mounts("remote-way", 0);
    list = filesystem_list_build(mounts, stack);
    ck_assert(listed_at("/net/disk")->may_hang);
    ck_assert(!listed_at("/srv/dir")->may_hang);
    ck_assert_ptr_null(listed_at("/net"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filesystem-list");
    TCase *tcase = add_case(suite, "list");

    tcase_add_checked_fixture(tcase, NULL, forget_list);
    tcase_add_test(tcase, every_mount_of_a_block_device_is_listed_newest_first);
    tcase_add_test(tcase, mounts_of_other_namespaces_are_not_listed);
    tcase_add_test(tcase, subvolumes_are_listed_under_the_name_of_the_mounted_member);
    tcase_add_test(tcase, a_device_that_is_gone_is_named_by_its_source);
    tcase_add_test(tcase, the_bottom_of_a_partition_is_the_partition);
    tcase_add_test(tcase, dm_on_md_ends_at_each_disk_once);
    tcase_add_test(tcase, a_loop_file_ends_at_the_disk_of_its_filesystem);
    tcase_add_test(tcase, every_member_of_a_btrfs_is_among_its_disks);
    tcase_add_test(tcase, a_covered_mount_is_listed_as_hidden);
    tcase_add_test(tcase, nothing_is_asked_of_a_mount_behind_a_network_filesystem);
    return run_suite(suite);
}
