/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/plan-fixture.h"

START_TEST(what_lies_in_a_file_is_frozen_before_the_filesystem_of_the_file)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_nest();
    plan = plan_all();
    assert_outline(plan, "/c:0 /apart:0 /b:1 /a:2 /:3");
    ck_assert_uint_eq(plan->waves, 4);
}
END_TEST

START_TEST(a_bind_mount_made_later_changes_nothing_in_the_order)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_nest();
    plan = plan_all();
    ck_assert_uint_eq(target_at(plan, "/a")->wave, 2);
    ck_assert_str_eq(g_ptr_array_index(target_at(plan, "/a")->aliases, 0), "/again");
}
END_TEST

START_TEST(without_the_kernels_number_the_path_tells_the_filesystem_of_the_file)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_loop(0, "/a.img", 0);
    add_loop(1, "/a/b.img (deleted)", 0);
    plan = plan_all();
    assert_outline(plan, "/b:0 /c:0 /apart:0 /a:1 /:2");
}
END_TEST

START_TEST(the_kernels_number_is_believed_rather_than_the_path)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_loop(0, "/apart/a.img", makedev(254, 0));
    plan = plan_all();
    assert_outline(plan, "/a:0 /b:0 /c:0 /apart:0 /:1");
}
END_TEST

START_TEST(a_btrfs_subvolumes_number_leads_to_its_superblock_by_the_path)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("btrfs", 0);
    /* 0:36 is what stat(2) says on a subvolume of the btrfs that mountinfo calls 0:35. */
    add_loop(0, "/pool/sub/inner.img", makedev(0, 36));
    plan = plan_all();
    assert_outline(plan, "/.top:0 /pool/inner:0 /pool:1");
}
END_TEST

START_TEST(a_btrfs_of_another_namespace_is_found_by_the_path_there)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_mounts("container", 4711);
    add_loop(9, "/pool/nest.img", makedev(0, 63));
    plan = plan_all();
    ck_assert_uint_eq(target_at(plan, "/nest")->wave, 0);
    ck_assert_uint_eq(target_at(plan, "/pool")->wave, 1);
    ck_assert_uint_eq(target_at(plan, "/")->wave, 0);
}
END_TEST

START_TEST(a_filesystem_mounted_over_the_directory_of_its_own_file_is_no_cycle)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_loop(0, "/a/a.img", 0);
    plan = plan_all();
    ck_assert_uint_eq(target_at(plan, "/a")->wave, 0);
    ck_assert_uint_eq(target_at(plan, "/")->wave, 1);
}
END_TEST

START_TEST(dm_and_md_are_followed_down_to_the_loop_devices)
{
    BlockDevice *logical, *array;
    g_autoptr(FreezePlan) plan = NULL;

    /* /srv: LVM on md on two loop devices; one file lies on /, one on /backup. */
    add_mounts("server", 0);
    logical = block_stack_add(stack, makedev(253, 2), "dm-2");
    block_device_add_lower(logical, makedev(9, 1));
    array = block_stack_add(stack, makedev(9, 1), "md1");
    block_device_add_lower(array, makedev(7, 10));
    block_device_add_lower(array, makedev(7, 11));
    add_loop(10, "/var/one.img", makedev(254, 1));
    add_loop(11, "/backup/two.img", makedev(9, 127));
    plan = plan_all();
    assert_outline(plan, "/boot/efi:0 /srv:0 /reference:0 /:1 /backup:1");
}
END_TEST

START_TEST(every_member_of_a_btrfs_counts)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("btrfs", 0);
    block_stack_add(stack, makedev(254, 2), "vda2");
    /* /pool: one member a disk, the other a file on the root btrfs. */
    block_stack_add_superblock(stack, makedev(0, 35), makedev(254, 16));
    block_stack_add_superblock(stack, makedev(0, 35), makedev(7, 5));
    block_stack_add_superblock(stack, makedev(0, 31), makedev(254, 2));
    block_stack_add(stack, makedev(254, 16), "vdb");
    add_loop(5, "/var/member.img", makedev(0, 32));
    plan = plan_all();
    ck_assert_uint_eq(target_at(plan, "/pool")->wave, 0);
    ck_assert_uint_eq(target_at(plan, "/.top")->wave, 1);
}
END_TEST

START_TEST(a_file_on_an_overlay_lies_on_the_filesystem_of_its_upper_directory)
{
    g_autoptr(FreezePlan) plan = NULL;

    /* /backup's array on a loop device, its file on the overlay whose upperdir is on /srv. */
    add_mounts("server", 0);
    block_device_add_lower(block_stack_add(stack, makedev(9, 127), "md127"), makedev(7, 10));
    add_loop(10, "/var/lib/docker/overlay2/merged/x.img", makedev(0, 49));
    plan = plan_all();
    assert_outline(plan, "/:0 /boot/efi:0 /backup:0 /reference:0 /srv:1");
}
END_TEST

START_TEST(the_order_holds_across_a_filesystem_that_is_not_frozen)
{
    char *exclude[] = {(char *)"/b", NULL};
    FreezeRules rules = {.exclude_mount_points = exclude};
    g_autoptr(FreezePlan) plan = NULL;

    add_nest();
    plan = plan_with(&rules, NULL);
    assert_outline(plan, "/c:0 /apart:0 /a:1 /:2");
}
END_TEST

START_TEST(a_device_that_the_stack_does_not_know_lies_on_nothing)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    plan = plan_all();
    ck_assert_uint_eq(plan->waves, 1);
    ck_assert_uint_eq(plan->targets->len, 5);
}
END_TEST

START_TEST(a_cycle_is_an_error_that_names_the_filesystems_in_it)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_loop(0, "/b/a.img", makedev(7, 1));
    add_loop(1, "/a/b.img", makedev(7, 0));
    plan = freeze_plan_build(mounts, stack, NULL, NULL, &error);
    ck_assert_ptr_null(plan);
    ck_assert_ptr_nonnull(strstr(error->message, "/a (ext4 on /dev/loop0)"));
    ck_assert_ptr_nonnull(strstr(error->message, "/b (ext4 on /dev/loop1)"));
    ck_assert_ptr_null(strstr(error->message, "/apart"));
}
END_TEST

START_TEST(a_cycle_among_what_is_not_frozen_does_no_harm)
{
    static const char *const requested[] = {"/apart", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_loop(0, "/b/a.img", makedev(7, 1));
    add_loop(1, "/a/b.img", makedev(7, 0));
    plan = plan_with(NULL, requested);
    assert_outline(plan, "/apart:0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("freeze-order");
    TCase *waves = add_case(suite, "waves");

    tcase_add_test(waves, what_lies_in_a_file_is_frozen_before_the_filesystem_of_the_file);
    tcase_add_test(waves, a_bind_mount_made_later_changes_nothing_in_the_order);
    tcase_add_test(waves, without_the_kernels_number_the_path_tells_the_filesystem_of_the_file);
    tcase_add_test(waves, the_kernels_number_is_believed_rather_than_the_path);
    tcase_add_test(waves, a_btrfs_subvolumes_number_leads_to_its_superblock_by_the_path);
    tcase_add_test(waves, a_btrfs_of_another_namespace_is_found_by_the_path_there);
    tcase_add_test(waves, a_filesystem_mounted_over_the_directory_of_its_own_file_is_no_cycle);
    tcase_add_test(waves, dm_and_md_are_followed_down_to_the_loop_devices);
    tcase_add_test(waves, every_member_of_a_btrfs_counts);
    tcase_add_test(waves, a_file_on_an_overlay_lies_on_the_filesystem_of_its_upper_directory);
    tcase_add_test(waves, the_order_holds_across_a_filesystem_that_is_not_frozen);
    tcase_add_test(waves, a_device_that_the_stack_does_not_know_lies_on_nothing);
    tcase_add_test(waves, a_cycle_is_an_error_that_names_the_filesystems_in_it);
    tcase_add_test(waves, a_cycle_among_what_is_not_frozen_does_no_harm);
    return run_suite(suite);
}
