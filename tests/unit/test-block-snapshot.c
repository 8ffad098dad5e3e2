/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/block-snapshot.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static GPtrArray *plan(const char *query_block, GError **error)
{
    json_object *reply = json_tokener_parse(query_block);
    ck_assert_ptr_nonnull(reply);
    GPtrArray *disks = block_snapshot_plan(reply, "/images", error);

    json_object_put(reply);
    return disks;
}

#define WRITABLE "\"inserted\":{\"ro\":false,\"file\":\"/old\",\"drv\":\"raw\",\"node-name\":\"n\"}"

static void assert_new_image(const GPtrArray *disks, unsigned position, const char *path)
{
    const SnapshotDisk *disk = g_ptr_array_index(disks, position);

    ck_assert_str_eq(disk->new_image, path);
    ck_assert_str_eq(disk->image, "/old");
}

START_TEST(disks_with_equal_names_get_different_images)
{
    g_autoptr(GPtrArray) disks =
        plan("[{\"device\":\"a/b\"," WRITABLE "},{\"device\":\"a-b\"," WRITABLE "},"
             "{\"device\":\"\",\"qdev\":\"/machine/peripheral/a-b/virtio-backend\"," WRITABLE "}]",
             NULL);

    ck_assert_uint_eq(disks->len, 3);
    assert_new_image(disks, 0, "/images/a-b.qcow2");
    assert_new_image(disks, 1, "/images/a-b-2.qcow2");
    assert_new_image(disks, 2, "/images/a-b-3.qcow2");
}
END_TEST

START_TEST(a_name_leads_to_no_other_folder)
{
    g_autoptr(GPtrArray) disks = plan("[{\"device\":\"../../etc/x\"," WRITABLE "}]", NULL);

    assert_new_image(disks, 0, "/images/-.-..-etc-x.qcow2");
}
END_TEST

START_TEST(only_disks_that_can_be_written_to_are_taken)
{
    g_autoptr(GError) problem = NULL;

    ck_assert_ptr_null(plan("[{\"device\":\"cd\"},"
                            "{\"device\":\"fixed\",\"inserted\":{\"ro\":true,\"file\":\"/f\"}},"
                            "{\"device\":\"odd\",\"inserted\":{\"file\":\"/f\"}}, 7]",
                            &problem));
    ck_assert(strstr(problem->message, "no disk that can be written to") != NULL);
}
END_TEST

START_TEST(one_transaction_names_all_disks_as_qemu_knows_them)
{
    g_autoptr(GPtrArray) disks =
        plan("[{\"device\":\"vda\"," WRITABLE "},"
             "{\"device\":\"\",\"qdev\":\"/machine/peripheral/d/virtio-backend\"," WRITABLE "}]",
             NULL);
    json_object *request = block_snapshot_request(disks);
    const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);

    ck_assert_msg(strstr(text, "{\"device\":\"vda\",\"snapshot-file\":") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "{\"node-name\":\"n\",\"snapshot-node-name\":\"quiesce-") != NULL,
                  "%s", text);
    json_object_put(request);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("block-snapshot");
    TCase *tests = tcase_create("all");

    tcase_add_test(tests, disks_with_equal_names_get_different_images);
    tcase_add_test(tests, a_name_leads_to_no_other_folder);
    tcase_add_test(tests, only_disks_that_can_be_written_to_are_taken);
    tcase_add_test(tests, one_transaction_names_all_disks_as_qemu_knows_them);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
