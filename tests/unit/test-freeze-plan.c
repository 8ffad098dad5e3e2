/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/plan-fixture.h"

#include <unistd.h>

/* --- what is frozen and what is not --- */

START_TEST(on_a_server_only_writable_disks_are_targets)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_all();
    assert_outline(plan, "/:0 /boot/efi:0 /srv:0 /backup:0 /reference:0");
    ck_assert_uint_eq(plan->waves, 1);
}
END_TEST

START_TEST(everything_left_out_has_its_reason)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_all();
    assert_skipped(plan, "/proc", "pseudo");
    assert_skipped(plan, "/run", "pseudo");
    assert_skipped(plan, "/net", "pseudo");
    assert_skipped(plan, "/proc/sys/fs/binfmt_misc", "pseudo");
    assert_skipped(plan, "/snap/core20/1974", "read-only image");
    assert_skipped(plan, "/archive", "mounted read-only");
    assert_skipped(plan, "/home/nfs", "network");
    assert_skipped(plan, "/host", "network");
    assert_skipped(plan, "/media/ssh", "FUSE");
    assert_skipped(plan, "/var/lib/docker/overlay2/merged", "stacked");
    assert_skipped(plan, "/ffs", "no block device");
}
END_TEST

START_TEST(a_filesystem_whose_device_was_removed_keeps_the_others_from_nothing)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_nest();
    block_stack_add_removed(stack, makedev(254, 16));
    plan = plan_all();
    assert_skipped(plan, "/apart", "its device was removed");
    ck_assert_ptr_nonnull(target_at(plan, "/"));
}
END_TEST

START_TEST(a_target_carries_what_the_engine_needs_to_open_it)
{
    g_autoptr(FreezePlan) plan = NULL;
    const FreezeTarget *target;

    add_mounts("server", 0);
    plan = plan_all();
    target = target_at(plan, "/srv");
    ck_assert_uint_eq(target->device, makedev(253, 2));
    ck_assert_int_eq(target->mount_id, 61);
    ck_assert_str_eq(target->fs_type, "xfs");
    ck_assert_str_eq(target->source, "/dev/mapper/data-srv");
    ck_assert_int_eq(target->namespace_pid, 0);
    ck_assert(!target->through_remote);
    ck_assert_uint_eq(target->aliases->len, 0);
}
END_TEST

START_TEST(bind_mounts_are_aliases_of_one_target)
{
    g_autoptr(FreezePlan) plan = NULL;
    const FreezeTarget *root;

    add_mounts("server", 0);
    plan = plan_all();
    root = target_at(plan, "/");
    ck_assert_uint_eq(root->aliases->len, 2);
    ck_assert_str_eq(g_ptr_array_index(root->aliases, 0), "/mnt/bind");
    ck_assert_str_eq(g_ptr_array_index(root->aliases, 1), "/srv/rootfs");
}
END_TEST

START_TEST(btrfs_subvolumes_are_one_target_opened_where_all_of_it_is_mounted)
{
    g_autoptr(FreezePlan) plan = NULL;
    const FreezeTarget *target;

    add_mounts("btrfs", 0);
    plan = plan_all();
    target = target_at(plan, "/.top");
    ck_assert_ptr_nonnull(target);
    ck_assert_uint_eq(target->aliases->len, 2);
    ck_assert_ptr_null(target_at(plan, "/"));
    ck_assert_ptr_null(target_at(plan, "/home"));
}
END_TEST

START_TEST(the_root_of_an_initramfs_is_no_target)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("initramfs", 0);
    plan = plan_all();
    assert_outline(plan, "/mnt/ext4:0");
}
END_TEST

START_TEST(odd_names_reach_the_plan_as_they_are)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("odd-names", 0);
    plan = plan_all();
    ck_assert_ptr_nonnull(target_at(plan, "/mnt/new\nline"));
    ck_assert_ptr_nonnull(target_at(plan, "/mnt/with space"));
}
END_TEST

/* --- where it is opened --- */

START_TEST(a_covered_filesystem_is_opened_where_it_is_not_covered)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("covered", 0);
    plan = plan_all();
    ck_assert_uint_eq(target_at(plan, "/mnt/part")->device, makedev(254, 80));
    ck_assert_uint_eq(target_at(plan, "/twice")->device, makedev(254, 96));
    ck_assert_uint_eq(target_at(plan, "/data")->device, makedev(254, 32));
}
END_TEST

START_TEST(a_filesystem_covered_everywhere_is_left_out_with_the_reason)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("covered", 0);
    plan = plan_all();
    assert_skipped(plan, "/data", "hides");
    assert_skipped(plan, "/deep/below", "hides");
    assert_skipped(plan, "/data/child", "hides");
}
END_TEST

START_TEST(a_way_over_a_network_mount_is_taken_only_when_there_is_no_other)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("remote-way", 0);
    plan = plan_all();
    ck_assert(target_at(plan, "/net/disk")->through_remote);
    ck_assert(!target_at(plan, "/srv/dir")->through_remote);
    ck_assert_ptr_null(target_at(plan, "/net/other"));
}
END_TEST

/* --- other mount namespaces --- */

START_TEST(a_volume_mounted_only_in_a_container_is_reached_through_its_process)
{
    g_autoptr(FreezePlan) plan = NULL;
    const FreezeTarget *volume;

    add_mounts("nested", 0);
    add_mounts("container", 4711);
    plan = plan_all();
    volume = target_at(plan, "/volume");
    ck_assert_ptr_nonnull(volume);
    ck_assert_int_eq(volume->namespace_pid, 4711);
    ck_assert_uint_eq(volume->device, makedev(254, 144));
}
END_TEST

START_TEST(a_filesystem_of_both_namespaces_is_opened_in_the_own_one)
{
    g_autoptr(FreezePlan) plan = NULL;
    const FreezeTarget *root;

    add_mounts("container", 4711);
    add_mounts("nested", 0);
    plan = plan_all();
    root = target_at(plan, "/");
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(root->namespace_pid, 0);
    ck_assert_uint_eq(root->aliases->len, 0);
    ck_assert_ptr_null(target_at(plan, "/host"));
}
END_TEST

START_TEST(a_mount_covered_here_is_opened_in_another_namespace)
{
    g_autoptr(FreezePlan) plan = NULL;
    g_autofree char *path = NULL;

    add_mounts("covered", 0);
    path = g_strdup("/tmp/quiesced-test-XXXXXX");
    close(g_mkstemp(path));
    g_file_set_contents(path, "90 89 254:48 / /elsewhere rw - ext4 /dev/vdd rw\n", -1, NULL);
    ck_assert(mount_table_add_file(mounts, path, 12, NULL));
    unlink(path);
    plan = plan_all();
    ck_assert_int_eq(target_at(plan, "/elsewhere")->namespace_pid, 12);
}
END_TEST

START_TEST(other_namespaces_can_be_switched_off)
{
    FreezeRules rules = {.other_namespaces = false};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_mounts("container", 4711);
    plan = plan_with(&rules, NULL);
    ck_assert_ptr_null(target_at(plan, "/volume"));
    assert_skipped(plan, "/volume", "excluded by other-namespaces of the configuration");
}
END_TEST

START_TEST(pseudo_filesystems_of_containers_are_not_even_mentioned)
{
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_mounts("container", 4711);
    plan = plan_all();
    ck_assert_str_eq(reason_at(plan, "/proc"), "");
}
END_TEST

/* --- rules --- */

START_TEST(patterns_exclude_by_mount_point_type_and_device)
{
    char *mount_points[] = {(char *)"/boot/*", NULL};
    char *types[] = {(char *)"x?s", NULL};
    char *devices[] = {(char *)"/dev/md*", NULL};
    FreezeRules rules = {
        .exclude_mount_points = mount_points, .exclude_types = types, .exclude_devices = devices};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(&rules, NULL);
    assert_outline(plan, "/:0 /reference:0");
    assert_skipped(plan, "/boot/efi", "exclude-mountpoints");
    assert_skipped(plan, "/srv", "exclude-types");
    assert_skipped(plan, "/backup", "exclude-devices");
}
END_TEST

START_TEST(with_an_include_list_everything_else_is_left_out)
{
    char *types[] = {(char *)"xfs", (char *)"btrfs", NULL};
    FreezeRules rules = {.include_types = types};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(&rules, NULL);
    assert_outline(plan, "/srv:0");
    assert_skipped(plan, "/", "include-types");
}
END_TEST

START_TEST(exclusion_wins_over_inclusion)
{
    char *types[] = {(char *)"ext4", NULL};
    char *mount_points[] = {(char *)"/backup", NULL};
    FreezeRules rules = {.include_types = types, .exclude_mount_points = mount_points};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(&rules, NULL);
    assert_outline(plan, "/:0 /reference:0");
}
END_TEST

START_TEST(any_mount_point_of_a_superblock_includes_it)
{
    char *mount_points[] = {(char *)"/home", NULL};
    FreezeRules rules = {.include_mount_points = mount_points};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("btrfs", 0);
    plan = plan_with(&rules, NULL);
    assert_outline(plan, "/.top:0");
}
END_TEST

START_TEST(excluding_a_bind_mounted_directory_does_not_exclude_the_filesystem)
{
    char *mount_points[] = {(char *)"/mnt/*", NULL};
    FreezeRules rules = {.exclude_mount_points = mount_points};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(&rules, NULL);
    ck_assert_ptr_nonnull(target_at(plan, "/"));
}
END_TEST

START_TEST(excluding_a_second_mount_of_the_whole_excludes_the_filesystem)
{
    char *mount_points[] = {(char *)"/again", NULL};
    FreezeRules rules = {.exclude_mount_points = mount_points};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    plan = plan_with(&rules, NULL);
    ck_assert_ptr_null(target_at(plan, "/a"));
}
END_TEST

/* --- a list of mount points --- */

START_TEST(only_the_requested_mount_points_are_targets)
{
    static const char *const requested[] = {"/srv", "/backup/", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(NULL, requested);
    assert_outline(plan, "/srv:0 /backup:0");
    ck_assert_uint_eq(plan->skips->len, 0);
}
END_TEST

START_TEST(any_alias_names_its_superblock_and_twice_is_once)
{
    static const char *const requested[] = {"/mnt/bind", "/", "//srv//rootfs", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(NULL, requested);
    assert_outline(plan, "/:0");
}
END_TEST

START_TEST(a_requested_path_that_is_no_mount_point_is_told)
{
    static const char *const requested[] = {"/srv/docker", "", "srv", "/srv", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(NULL, requested);
    assert_outline(plan, "/srv:0");
    assert_skipped(plan, "/srv/docker", "not a mount point");
    ck_assert_uint_eq(plan->skips->len, 3);
}
END_TEST

START_TEST(a_requested_filesystem_that_cannot_be_frozen_is_told_why)
{
    static const char *const requested[] = {"/home/nfs", "/archive", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(NULL, requested);
    ck_assert_uint_eq(plan->targets->len, 0);
    ck_assert_uint_eq(plan->waves, 0);
    assert_skipped(plan, "/home/nfs", "network");
    assert_skipped(plan, "/archive", "read-only");
}
END_TEST

START_TEST(an_empty_list_freezes_nothing)
{
    static const char *const requested[] = {NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("server", 0);
    plan = plan_with(NULL, requested);
    ck_assert_uint_eq(plan->targets->len, 0);
    ck_assert_uint_eq(plan->skips->len, 0);
}
END_TEST

START_TEST(of_stacked_mounts_the_uppermost_is_requested)
{
    static const char *const requested[] = {"/data", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("covered", 0);
    plan = plan_with(NULL, requested);
    ck_assert_uint_eq(plan->targets->len, 1);
    ck_assert_uint_eq(target_at(plan, "/data")->device, makedev(254, 32));
    ck_assert_uint_eq(plan->skips->len, 0);
}
END_TEST

START_TEST(a_path_of_another_namespace_can_be_requested)
{
    static const char *const requested[] = {"/volume", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_mounts("nested", 0);
    add_mounts("container", 4711);
    plan = plan_with(NULL, requested);
    assert_outline(plan, "/volume:0");
}
END_TEST

START_TEST(what_lies_on_a_requested_filesystem_without_being_requested_is_told)
{
    static const char *const requested[] = {"/a", NULL};
    g_autoptr(FreezePlan) plan = NULL;

    add_nest();
    plan = plan_with(NULL, requested);
    assert_outline(plan, "/a:0");
    assert_skipped(plan, "/b", "lies on /a");
    assert_skipped(plan, "/c", "lies on /a");
    ck_assert_str_eq(reason_at(plan, "/apart"), "");
    ck_assert_str_eq(reason_at(plan, "/"), "");
}
END_TEST

static void add_choice_tests(TCase *tcase)
{
    tcase_add_test(tcase, on_a_server_only_writable_disks_are_targets);
    tcase_add_test(tcase, everything_left_out_has_its_reason);
    tcase_add_test(tcase, a_filesystem_whose_device_was_removed_keeps_the_others_from_nothing);
    tcase_add_test(tcase, a_target_carries_what_the_engine_needs_to_open_it);
    tcase_add_test(tcase, bind_mounts_are_aliases_of_one_target);
    tcase_add_test(tcase, btrfs_subvolumes_are_one_target_opened_where_all_of_it_is_mounted);
    tcase_add_test(tcase, the_root_of_an_initramfs_is_no_target);
    tcase_add_test(tcase, odd_names_reach_the_plan_as_they_are);
}

static void add_opening_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_covered_filesystem_is_opened_where_it_is_not_covered);
    tcase_add_test(tcase, a_filesystem_covered_everywhere_is_left_out_with_the_reason);
    tcase_add_test(tcase, a_way_over_a_network_mount_is_taken_only_when_there_is_no_other);
}

static void add_namespaces_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_volume_mounted_only_in_a_container_is_reached_through_its_process);
    tcase_add_test(tcase, a_filesystem_of_both_namespaces_is_opened_in_the_own_one);
    tcase_add_test(tcase, a_mount_covered_here_is_opened_in_another_namespace);
    tcase_add_test(tcase, other_namespaces_can_be_switched_off);
    tcase_add_test(tcase, pseudo_filesystems_of_containers_are_not_even_mentioned);
}

static void add_rules_tests(TCase *tcase)
{
    tcase_add_test(tcase, patterns_exclude_by_mount_point_type_and_device);
    tcase_add_test(tcase, with_an_include_list_everything_else_is_left_out);
    tcase_add_test(tcase, exclusion_wins_over_inclusion);
    tcase_add_test(tcase, any_mount_point_of_a_superblock_includes_it);
    tcase_add_test(tcase, excluding_a_bind_mounted_directory_does_not_exclude_the_filesystem);
    tcase_add_test(tcase, excluding_a_second_mount_of_the_whole_excludes_the_filesystem);
}

static void add_requested_tests(TCase *tcase)
{
    tcase_add_test(tcase, only_the_requested_mount_points_are_targets);
    tcase_add_test(tcase, any_alias_names_its_superblock_and_twice_is_once);
    tcase_add_test(tcase, a_requested_path_that_is_no_mount_point_is_told);
    tcase_add_test(tcase, a_requested_filesystem_that_cannot_be_frozen_is_told_why);
    tcase_add_test(tcase, an_empty_list_freezes_nothing);
    tcase_add_test(tcase, of_stacked_mounts_the_uppermost_is_requested);
    tcase_add_test(tcase, a_path_of_another_namespace_can_be_requested);
    tcase_add_test(tcase, what_lies_on_a_requested_filesystem_without_being_requested_is_told);
}

int main(void)
{
    Suite *suite = suite_create("freeze-plan");

    add_choice_tests(add_case(suite, "choice"));
    add_opening_tests(add_case(suite, "opening"));
    add_namespaces_tests(add_case(suite, "namespaces"));
    add_rules_tests(add_case(suite, "rules"));
    add_requested_tests(add_case(suite, "requested"));
    return run_suite(suite);
}
