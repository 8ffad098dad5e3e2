/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/filesystem-kind.h"
#include "platform/mount-path.h"
#include "platform/mount-table.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static char *fixture(const char *name)
{
    return g_build_filename(g_getenv("FIXTURES"), "mountinfo", name, NULL);
}

static MountTable *table_of(const char *name)
{
    MountTable *table = mount_table_new();
    g_autofree char *path = fixture(name);
    g_autoptr(GError) error = NULL;

    if (!mount_table_add_file(table, path, 0, &error))
        ck_abort_msg("%s", error->message);
    return table;
}

static const Mount *mount_with_id(const MountTable *table, int mount_id)
{
    for (guint i = 0; i < table->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(table->mounts, i);

        if (mount->mount_id == mount_id)
            return mount;
    }
    ck_abort_msg("no mount %d", mount_id);
    return NULL;
}

START_TEST(every_field_of_a_mount_is_read)
{
    g_autoptr(MountTable) table = table_of("server");
    const Mount *mount = mount_with_id(table, 73);

    ck_assert_int_eq(mount->parent_id, 28);
    ck_assert_uint_eq(mount->device, makedev(254, 1));
    ck_assert_str_eq(mount->root, "/srv-on-root");
    ck_assert_str_eq(mount->mount_point, "/mnt/bind");
    ck_assert_str_eq(mount->fs_type, "ext4");
    ck_assert_str_eq(mount->source, "/dev/vda1");
    ck_assert_str_eq(mount->mount_options, "rw,relatime");
    ck_assert_str_eq(mount->superblock_options, "rw,errors=remount-ro");
    ck_assert(!mount->superblock_read_only);
    ck_assert_int_eq(mount->namespace_pid, 0);
}
END_TEST

START_TEST(a_read_only_superblock_is_told_from_a_read_only_mount)
{
    g_autoptr(MountTable) table = table_of("server");

    ck_assert(mount_with_id(table, 63)->superblock_read_only);
    ck_assert(!mount_with_id(table, 64)->superblock_read_only);
}
END_TEST

START_TEST(names_with_blanks_newlines_and_hashes_are_decoded)
{
    static const struct {
        int mount_id;
        const char *mount_point;
    } expected[] = {
        {21, "/mnt/with space"}, {22, "/mnt/new\nline"},           {23, "/mnt/hash#tag"},
        {24, "/mnt/hash#octal"}, {25, "/mnt/tab\tand\\backslash"}, {27, "/mnt/gone (deleted)"},
        {28, "/mnt/many"},
    };
    g_autoptr(MountTable) table = table_of("odd-names");

    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        ck_assert_str_eq(mount_with_id(table, expected[i].mount_id)->mount_point,
                         expected[i].mount_point);
    ck_assert_str_eq(mount_with_id(table, 26)->root, "/dir one");
    ck_assert_str_eq(mount_with_id(table, 26)->source, "/dev/disk/by-label/my disk");
}
END_TEST

START_TEST(the_widest_device_number_fits)
{
    g_autoptr(MountTable) table = table_of("odd-names");

    ck_assert_uint_eq(mount_with_id(table, 30)->device, makedev(4095, 1048575));
}
END_TEST

START_TEST(a_line_that_is_not_understood_is_an_error_that_names_it)
{
    g_autoptr(MountTable) table = mount_table_new();
    g_autofree char *path = fixture("broken");
    g_autoptr(GError) error = NULL;

    ck_assert(!mount_table_add_file(table, path, 0, &error));
    ck_assert_ptr_nonnull(strstr(error->message, path));
    ck_assert_ptr_nonnull(strstr(error->message, "line 2"));
}
END_TEST

START_TEST(a_missing_file_is_an_error_that_names_file_and_cause)
{
    g_autoptr(MountTable) table = mount_table_new();
    g_autoptr(GError) error = NULL;

    ck_assert(!mount_table_add_file(table, "/nonexistent/mountinfo", 0, &error));
    ck_assert(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
    ck_assert_str_eq(error->message,
                     "cannot read the mounts in /nonexistent/mountinfo: No such file or directory");
}
END_TEST

START_TEST(no_mounts_at_all_is_an_empty_table)
{
    g_autoptr(MountTable) table = table_of("empty");

    ck_assert_uint_eq(table->mounts->len, 0);
}
END_TEST

START_TEST(this_process_sees_its_own_root)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(MountTable) table = mount_table_read(false, &error);
    const Mount *root;

    ck_assert_msg(table != NULL, "%s", error ? error->message : "");
    root = mount_path_find(table, 0, "/");
    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(root->mount_point, "/");
    ck_assert_uint_ne(root->namespace_inode, 0);
}
END_TEST

/* Lives in a mount namespace of its own until the returned descriptor is closed; 0 when the kernel
 * or a missing right forbids it. */
static pid_t start_in_new_namespace(int *keep)
{
    int ready[2], hold[2];
    char answer = 'n';
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(hold), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char end;

        close(hold[1]);
        answer = unshare(CLONE_NEWNS) == 0 ? 'y' : 'n';
        if (write(ready[1], &answer, 1) == 1 && answer == 'y')
            (void)!read(hold[0], &end, 1);
        _exit(0);
    }
    close(ready[1]);
    close(hold[0]);
    ck_assert_int_eq(read(ready[0], &answer, 1), 1);
    close(ready[0]);
    *keep = hold[1];
    if (answer == 'y')
        return pid;
    close(hold[1]);
    waitpid(pid, NULL, 0);
    return 0;
}

static guint count_of_process(const MountTable *table, pid_t pid)
{
    guint count = 0;

    for (guint i = 0; i < table->mounts->len; i++)
        if (((const Mount *)g_ptr_array_index(table->mounts, i))->namespace_pid == pid)
            count++;
    return count;
}

/* Every mount has an id of its own, in whatever namespace it is. */
static guint repeated_mounts(const MountTable *table)
{
    g_autoptr(GHashTable) ids = g_hash_table_new(NULL, NULL);
    guint repeated = 0;

    for (guint i = 0; i < table->mounts->len; i++) {
        const Mount *mount = g_ptr_array_index(table->mounts, i);

        if (!g_hash_table_add(ids, GINT_TO_POINTER(mount->mount_id)))
            repeated++;
    }
    return repeated;
}

START_TEST(another_mount_namespace_is_read_once_and_only_on_demand)
{
    int keep;
    pid_t pid = start_in_new_namespace(&keep);
    g_autoptr(MountTable) own = NULL;
    g_autoptr(MountTable) all = NULL;

    if (pid == 0)
        return; /* not root */
    own = mount_table_read(false, NULL);
    all = mount_table_read(true, NULL);
    close(keep);
    waitpid(pid, NULL, 0);
    ck_assert_uint_eq(count_of_process(own, pid), 0);
    ck_assert_uint_eq(count_of_process(own, 0), own->mounts->len);
    ck_assert_uint_gt(count_of_process(all, pid), 0);
    ck_assert_uint_eq(repeated_mounts(all), 0);
}
END_TEST

START_TEST(a_namespace_that_has_ended_is_left_out)
{
    int keep;
    pid_t pid = start_in_new_namespace(&keep);
    g_autoptr(MountTable) all = NULL;

    if (pid == 0)
        return; /* not root */
    /* A zombie still has its directory in /proc, but no namespace. */
    close(keep);
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    all = mount_table_read(true, NULL);
    waitpid(pid, NULL, 0);
    ck_assert_ptr_nonnull(all);
    ck_assert_uint_eq(count_of_process(all, pid), 0);
}
END_TEST

START_TEST(a_path_lies_below_a_directory_only_at_a_slash)
{
    ck_assert(mount_path_is_below("/a", "/"));
    ck_assert(mount_path_is_below("/a", "/a"));
    ck_assert(mount_path_is_below("/a/b", "/a"));
    ck_assert(!mount_path_is_below("/ab", "/a"));
    ck_assert(!mount_path_is_below("/", "/a"));
    ck_assert(!mount_path_is_below("relative", "/"));
}
END_TEST

START_TEST(a_path_is_found_on_the_longest_mount_point_and_the_last_mounted)
{
    g_autoptr(MountTable) table = table_of("covered");

    ck_assert_int_eq(mount_path_find(table, 0, "/data/x")->mount_id, 22);
    ck_assert_int_eq(mount_path_find(table, 0, "/database")->mount_id, 20);
    ck_assert_int_eq(mount_path_find(table, 0, "/mnt/part/file")->mount_id, 27);
    ck_assert_ptr_null(mount_path_find(table, 4711, "/data"));
}
END_TEST

static MountReach reach_of(const MountTable *table, int mount_id)
{
    g_autoptr(GHashTable) reach = mount_path_reach(table);

    return *(MountReach *)g_hash_table_lookup(reach, mount_with_id(table, mount_id));
}

START_TEST(a_mount_is_hidden_below_one_on_the_same_path)
{
    g_autoptr(MountTable) table = table_of("covered");

    ck_assert(reach_of(table, 21).hidden);
    ck_assert(!reach_of(table, 22).hidden);
    ck_assert(reach_of(table, 25).hidden);
    ck_assert(!reach_of(table, 26).hidden);
}
END_TEST

START_TEST(a_mount_is_hidden_below_a_later_one_on_a_parent_path)
{
    g_autoptr(MountTable) table = table_of("covered");

    ck_assert(reach_of(table, 23).hidden);
    ck_assert(!reach_of(table, 24).hidden);
    ck_assert(!reach_of(table, 28).hidden);
    ck_assert(!reach_of(table, 20).hidden);
}
END_TEST

START_TEST(a_mount_inside_a_covered_mount_is_hidden_with_it)
{
    g_autoptr(MountTable) table = table_of("covered");

    ck_assert(reach_of(table, 29).hidden);
}
END_TEST

START_TEST(a_root_that_is_its_own_parent_hides_nothing)
{
    g_autoptr(MountTable) table = table_of("initramfs");

    ck_assert(!reach_of(table, 1).hidden);
    ck_assert(!reach_of(table, 21).hidden);
}
END_TEST

START_TEST(a_way_over_a_network_mount_is_marked)
{
    g_autoptr(MountTable) table = table_of("remote-way");

    ck_assert(reach_of(table, 22).through_remote);
    ck_assert(!reach_of(table, 21).through_remote);
    ck_assert(!reach_of(table, 24).through_remote);
}
END_TEST

START_TEST(types_are_told_apart_by_what_they_mean_for_freezing)
{
    static const struct {
        const char *fs_type;
        FilesystemKind kind;
    } expected[] = {
        {"ext4", FILESYSTEM_LOCAL},       {"btrfs", FILESYSTEM_LOCAL},
        {"vfat", FILESYSTEM_LOCAL},       {"gfs2", FILESYSTEM_LOCAL},
        {"proc", FILESYSTEM_PSEUDO},      {"tmpfs", FILESYSTEM_PSEUDO},
        {"rootfs", FILESYSTEM_PSEUDO},    {"autofs", FILESYSTEM_PSEUDO},
        {"nfsd", FILESYSTEM_PSEUDO},      {"fusectl", FILESYSTEM_PSEUDO},
        {"nfs4", FILESYSTEM_NETWORK},     {"cifs", FILESYSTEM_NETWORK},
        {"9p", FILESYSTEM_NETWORK},       {"ceph", FILESYSTEM_NETWORK},
        {"virtiofs", FILESYSTEM_NETWORK}, {"fuse", FILESYSTEM_FUSE},
        {"fuse.sshfs", FILESYSTEM_FUSE},  {"fuse.glusterfs", FILESYSTEM_FUSE},
        {"fuseblk", FILESYSTEM_FUSE},     {"squashfs", FILESYSTEM_IMAGE},
        {"iso9660", FILESYSTEM_IMAGE},    {"overlay", FILESYSTEM_STACKED},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++)
        ck_assert_msg(filesystem_kind(expected[i].fs_type) == expected[i].kind, "%s",
                      expected[i].fs_type);
}
END_TEST

START_TEST(only_filesystems_answered_by_others_can_hang)
{
    ck_assert(filesystem_kind_can_hang(filesystem_kind("nfs")));
    ck_assert(filesystem_kind_can_hang(filesystem_kind("fuse.sshfs")));
    ck_assert(!filesystem_kind_can_hang(filesystem_kind("ext4")));
    ck_assert(!filesystem_kind_can_hang(filesystem_kind("tmpfs")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mount-table");
    TCase *tables = tcase_create("tables");
    TCase *paths = tcase_create("paths");
    SRunner *runner;
    int failed;

    tcase_add_test(tables, every_field_of_a_mount_is_read);
    tcase_add_test(tables, a_read_only_superblock_is_told_from_a_read_only_mount);
    tcase_add_test(tables, names_with_blanks_newlines_and_hashes_are_decoded);
    tcase_add_test(tables, the_widest_device_number_fits);
    tcase_add_test(tables, a_line_that_is_not_understood_is_an_error_that_names_it);
    tcase_add_test(tables, a_missing_file_is_an_error_that_names_file_and_cause);
    tcase_add_test(tables, no_mounts_at_all_is_an_empty_table);
    tcase_add_test(tables, this_process_sees_its_own_root);
    tcase_add_test(tables, another_mount_namespace_is_read_once_and_only_on_demand);
    tcase_add_test(tables, a_namespace_that_has_ended_is_left_out);
    suite_add_tcase(suite, tables);
    tcase_add_test(paths, a_path_lies_below_a_directory_only_at_a_slash);
    tcase_add_test(paths, a_path_is_found_on_the_longest_mount_point_and_the_last_mounted);
    tcase_add_test(paths, a_mount_is_hidden_below_one_on_the_same_path);
    tcase_add_test(paths, a_mount_is_hidden_below_a_later_one_on_a_parent_path);
    tcase_add_test(paths, a_mount_inside_a_covered_mount_is_hidden_with_it);
    tcase_add_test(paths, a_root_that_is_its_own_parent_hides_nothing);
    tcase_add_test(paths, a_way_over_a_network_mount_is_marked);
    tcase_add_test(paths, types_are_told_apart_by_what_they_mean_for_freezing);
    tcase_add_test(paths, only_filesystems_answered_by_others_can_hang);
    suite_add_tcase(suite, paths);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
