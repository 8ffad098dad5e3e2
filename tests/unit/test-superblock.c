/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/superblock.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UUID "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f0"
#define IMAGE_BYTES (320 * 1024 * 1024)

static char *folder;

static void setup(void)
{
    folder = g_dir_make_tmp("quiesced-test-XXXXXX", NULL);
    ck_assert_ptr_nonnull(folder);
}

static void teardown(void)
{
    g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        unlink(path);
    }
    rmdir(folder);
    g_free(folder);
}

static char *image_path(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

/* A sparse file of zeros; run through a shell command when one is given ("mkfs.ext4 -q"). */
static char *make_image(const char *name, const char *mkfs)
{
    char *path = image_path(name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, IMAGE_BYTES), 0);
    close(fd);
    if (mkfs) {
        g_autofree char *command =
            g_strdup_printf("PATH=$PATH:/usr/sbin:/sbin; %s %s >/dev/null", mkfs, path);
        char *argv[] = {(char *)"/bin/sh", (char *)"-c", command, NULL};
        int status = -1;

        ck_assert(g_spawn_sync(NULL, argv, NULL, 0, NULL, NULL, NULL, NULL, &status, NULL));
        ck_assert_msg(status == 0, "%s failed", command);
    }
    return path;
}

static const struct {
    const char *mkfs, *type;
} filesystems[] = {
    {"mkfs.ext4 -q -F -U " UUID " -L label", "ext4"},
    {"mkfs.xfs -q -f -m uuid=" UUID " -L label", "xfs"},
};

START_TEST(type_uuid_and_label_are_found)
{
    g_autofree char *path = make_image("image", filesystems[_i].mkfs);
    g_autoptr(GError) error = NULL;
    g_autoptr(Superblock) superblock = superblock_probe(path, &error);

    ck_assert_msg(superblock != NULL, "%s", error ? error->message : "");
    ck_assert_str_eq(superblock->type, filesystems[_i].type);
    ck_assert_str_eq(superblock->uuid, UUID);
    ck_assert_str_eq(superblock->label, "label");
}
END_TEST

START_TEST(without_a_label_there_is_none)
{
    g_autofree char *path = make_image("image", "mkfs.ext4 -q -F");
    g_autoptr(Superblock) superblock = superblock_probe(path, NULL);

    ck_assert_ptr_nonnull(superblock);
    ck_assert_ptr_null(superblock->label);
}
END_TEST

START_TEST(zeros_are_no_filesystem_and_no_error)
{
    g_autofree char *path = make_image("zeros", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(Superblock) superblock = superblock_probe(path, &error);

    ck_assert_msg(superblock != NULL, "%s", error ? error->message : "");
    ck_assert_ptr_null(superblock->type);
    ck_assert_ptr_null(superblock->uuid);
}
END_TEST

START_TEST(a_missing_file_is_an_error_that_names_it)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(superblock_probe("/nonexistent/disk", &error));
    ck_assert(g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT));
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent/disk"));
}
END_TEST

/* The btrfs superblock lies where ext4 has nothing that makes it invalid. */
static void copy_btrfs_superblock(const char *from, const char *to)
{
    char block[4096];
    const off_t offset = 64 * 1024;
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CLOEXEC);

    ck_assert_int_eq(pread(source, block, sizeof block, offset), sizeof block);
    ck_assert_int_eq(pwrite(target, block, sizeof block, offset), sizeof block);
    close(source);
    close(target);
}

START_TEST(two_signatures_are_an_error_rather_than_a_guess)
{
    g_autofree char *path = make_image("both", "mkfs.ext4 -q -F");
    g_autofree char *other = make_image("other", "mkfs.btrfs -q");
    g_autoptr(GError) error = NULL;

    copy_btrfs_superblock(other, path);
    ck_assert_ptr_null(superblock_probe(path, &error));
    ck_assert_ptr_nonnull(strstr(error->message, "more than one signature"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("superblock");
    TCase *tcase = tcase_create("images");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, type_uuid_and_label_are_found, 0, G_N_ELEMENTS(filesystems));
    tcase_add_test(tcase, without_a_label_there_is_none);
    tcase_add_test(tcase, zeros_are_no_filesystem_and_no_error);
    tcase_add_test(tcase, a_missing_file_is_an_error_that_names_it);
    tcase_add_test(tcase, two_signatures_are_an_error_rather_than_a_guess);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
