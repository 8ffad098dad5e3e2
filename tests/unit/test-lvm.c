/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/lvm-groups.h"
#include "prober/disk/lvm-label.h"
#include "prober/disk/stacked-volume.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define PV_BYTES (4u * 1024 * 1024)
#define MDA_OFFSET 4096u
#define MDA_BYTES (1024u * 1024 - MDA_OFFSET)
#define DATA_OFFSET (1024u * 1024)
#define EXTENT_BYTES (8u * SECTOR)

static const char uuid_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char uuid_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#define PV_TEXT(name, letter) \
    name " { id = \"" letter letter letter letter letter letter "-" letter letter letter letter \
         "-" letter letter letter letter "-" letter letter letter letter \
         "-" letter letter letter letter "-" letter letter letter letter \
         "-" letter letter letter letter letter letter "\" pe_start = 2048 pe_count = 700 }\n"
#define GROUP(seqno, volumes) \
    "vg { id = \"vgid\" seqno = " seqno " extent_size = 8\n" \
    "physical_volumes {\n" PV_TEXT("pv0", "a") PV_TEXT("pv1", "b") "}\n" \
                                                                   "logical_volumes {\n" volumes \
                                                                   "}\n}\n"
#define VISIBLE "status = [\"READ\", \"WRITE\", \"VISIBLE\"] "
#define SEGMENT(name, start, count, stripes) \
    name " { start_extent = " start " extent_count = " count \
         " type = \"striped\" stripe_count = 1 stripes = [ " stripes " ] }\n"
/* Three extents of the second disk, then two of the first. */
#define ROOT \
    "root { " VISIBLE \
    "segment_count = 2 # in two parts\n" SEGMENT("segment1", "0", "3", "\"pv1\", 10") \
        SEGMENT("segment2", "3", "2", "\"pv0\", 0") "}\n"

typedef struct {
    uint8_t data[PV_BYTES];
} Pv;

static void put_le(uint8_t *at, uint64_t number, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static void seal_label(Pv *pv)
{
    uint8_t *sector = pv->data + SECTOR;

    put_le(sector + 16, lvm_label_checksum(sector + 20, SECTOR - 20), 4);
}

static void seal_header(Pv *pv)
{
    uint8_t *header = pv->data + MDA_OFFSET;

    put_le(header, lvm_label_checksum(header + 4, SECTOR - 4), 4);
}

/* text at this place of the ring; it is wound around its end. */
static void put_text(Pv *pv, const char *text, size_t at)
{
    uint8_t *header = pv->data + MDA_OFFSET;
    size_t length = strlen(text) + 1;

    for (size_t i = 0; i < length; i++) {
        size_t place = at + i < MDA_BYTES ? at + i : at + i - MDA_BYTES + SECTOR;
        header[place] = (uint8_t)text[i];
    }
    put_le(header + 40, at, 8);
    put_le(header + 48, length, 8);
    put_le(header + 56, lvm_label_checksum(text, length), 4);
    seal_header(pv);
}

/* Each sector of the data begins with letter and the number of its extent. text may be NULL. */
static Pv *pv_new(const char *uuid, char letter, const char *text)
{
    Pv *pv = g_new0(Pv, 1);
    uint8_t *sector = pv->data + SECTOR;
    uint8_t *header = pv->data + MDA_OFFSET;

    memcpy(sector, "LABELONE", 8);
    put_le(sector + 8, 1, 8);
    put_le(sector + 20, 32, 4);
    memcpy(sector + 24, "LVM2 001", 8);
    memcpy(sector + 32, uuid, 32);
    put_le(sector + 64, PV_BYTES, 8);
    put_le(sector + 72, DATA_OFFSET, 8);
    put_le(sector + 104, MDA_OFFSET, 8);
    put_le(sector + 112, MDA_BYTES, 8);
    seal_label(pv);
    memcpy(header + 4, " LVM2 x[5A%r0N*>", 16);
    put_le(header + 20, 1, 4);
    put_le(header + 24, MDA_OFFSET, 8);
    put_le(header + 32, MDA_BYTES, 8);
    seal_header(pv);
    if (text)
        put_text(pv, text, SECTOR);
    for (uint32_t offset = DATA_OFFSET; offset < PV_BYTES; offset += SECTOR) {
        pv->data[offset] = (uint8_t)letter;
        pv->data[offset + 1] = (uint8_t)((offset - DATA_OFFSET) / EXTENT_BYTES);
    }
    return pv;
}

static bool add(LvmGroups *groups, const Pv *pv, const char *name)
{
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(pv->data, sizeof pv->data);

    return lvm_groups_add(groups, name, name, bytes, NULL);
}

/* What a group of these disks is made into; the second may be NULL. */
static GPtrArray *activate(const char *text_a, const char *text_b)
{
    g_autofree Pv *pv_a = pv_new(uuid_a, 'a', text_a);
    g_autofree Pv *pv_b = pv_new(uuid_b, 'b', text_b);
    g_autoptr(LvmGroups) groups = lvm_groups_new();

    ck_assert(add(groups, pv_a, "vda"));
    ck_assert(add(groups, pv_b, "vdb"));
    GPtrArray *found = lvm_groups_activate(groups);
    /* The volumes' bytes are the disks', which end here. */
    for (unsigned i = 0; i < found->len; i++) {
        StackedVolume *volume = g_ptr_array_index(found, i);
        if (!volume->bytes)
            continue;
        GString *content = g_string_new(NULL);
        for (uint64_t at = 0; at < disk_bytes_size(volume->bytes); at += EXTENT_BYTES) {
            uint8_t head[2];
            ck_assert(disk_bytes_read(volume->bytes, at, head, sizeof head, NULL));
            g_string_append_printf(content, "%c%u ", head[0], head[1]);
        }
        volume->note = g_string_free(content, FALSE);
        g_clear_pointer(&volume->bytes, disk_bytes_unref);
    }
    return found;
}

static const StackedVolume *only(const GPtrArray *found)
{
    ck_assert_uint_eq(found->len, 1);
    return g_ptr_array_index(found, 0);
}

START_TEST(a_linear_volume_is_put_together_from_segments_on_several_disks)
{
    g_autoptr(GPtrArray) found = activate(GROUP("1", ROOT), GROUP("1", ROOT));
    const StackedVolume *volume = only(found);

    ck_assert_str_eq(volume->name, "vg/root");
    ck_assert_str_eq(volume->disk, "vdb");
    ck_assert_str_eq(volume->note, "b10 b11 b12 a0 a1 ");
}
END_TEST

START_TEST(one_copy_of_the_metadata_is_enough_and_the_newest_counts)
{
    static const char old[] =
        GROUP("1", "old { " VISIBLE SEGMENT("segment1", "0", "1", "\"pv0\", 5") "}\n");
    g_autoptr(GPtrArray) alone = activate(NULL, GROUP("1", ROOT));
    g_autoptr(GPtrArray) newest = activate(old, GROUP("2", ROOT));

    ck_assert_str_eq(only(alone)->name, "vg/root");
    ck_assert_str_eq(only(newest)->name, "vg/root");
}
END_TEST

START_TEST(metadata_that_wind_around_the_end_of_their_ring_are_read)
{
    g_autofree Pv *pv_a = pv_new(uuid_a, 'a', NULL);
    g_autofree Pv *pv_b = pv_new(uuid_b, 'b', NULL);
    g_autoptr(LvmGroups) groups = lvm_groups_new();

    put_text(pv_a, GROUP("1", ROOT), MDA_BYTES - 100);
    ck_assert(add(groups, pv_a, "vda") && add(groups, pv_b, "vdb"));
    g_autoptr(GPtrArray) found = lvm_groups_activate(groups);
    ck_assert_str_eq(only(found)->name, "vg/root");
}
END_TEST

static void assert_opaque(const char *volumes, const char *note)
{
    g_autofree char *text = g_strdup_printf(GROUP("1", "%s"), volumes);
    g_autoptr(GPtrArray) found = activate(text, NULL);

    ck_assert_ptr_null(only(found)->bytes);
    ck_assert_msg(strstr(only(found)->note, note), "%s", only(found)->note);
}

START_TEST(what_is_not_linear_is_named_with_the_reason)
{
    assert_opaque("a { " VISIBLE "segment1 { start_extent = 0 extent_count = 4 type = \"striped\" "
                  "stripe_count = 2 stripes = [ \"pv0\", 0, \"pv1\", 0 ] } }",
                  "striped");
    assert_opaque("a { " VISIBLE "segment1 { start_extent = 0 extent_count = 4 type = \"thin\" "
                  "thin_pool = \"pool\" } }",
                  "'thin'");
    assert_opaque("a { " VISIBLE SEGMENT("segment1", "0", "1", "\"pvmove0\", 0") "}",
                  "another logical volume");
    assert_opaque("a { " VISIBLE SEGMENT("segment1", "0", "9999", "\"pv0\", 0") "}",
                  "beyond the end");
    assert_opaque("a { " VISIBLE SEGMENT("segment1", "0", "2", "\"pv0\", 9223372036854775807") "}",
                  "beyond the end");
    assert_opaque("a { " VISIBLE SEGMENT("segment1", "1", "2", "\"pv0\", 0") "}", "gaps");
    assert_opaque("a { " VISIBLE "}", "gaps");
}
END_TEST

START_TEST(a_snapshot_is_not_taken_for_the_volume_and_hidden_volumes_are_not_shown)
{
    static const char text[] =
        GROUP("1", "root { " VISIBLE SEGMENT(
                       "segment1", "0", "2",
                       "\"pv0\", 0") "}\n"
                                     "before { " VISIBLE SEGMENT(
                                         "segment1", "0", "2",
                                         "\"pv0\", 4") "}\n"
                                                       "snapshot0 { status = [\"READ\"] segment1 { "
                                                       "start_extent = 0 extent_count = 2 "
                                                       "type = \"snapshot\" origin = \"root\" "
                                                       "cow_store = \"before\" } }\n");
    g_autoptr(GPtrArray) found = activate(text, NULL);

    ck_assert_uint_eq(found->len, 2);
    ck_assert_str_eq(((StackedVolume *)g_ptr_array_index(found, 0))->note, "a0 a1 ");
    ck_assert_ptr_nonnull(
        strstr(((StackedVolume *)g_ptr_array_index(found, 1))->note, "snapshot of another"));
}
END_TEST

START_TEST(a_group_with_a_missing_disk_waits_and_then_shows_what_is_whole)
{
    static const char text[] =
        GROUP("1", ROOT "whole { " VISIBLE SEGMENT("segment1", "0", "2", "\"pv0\", 4") "}\n");
    g_autofree Pv *pv = pv_new(uuid_a, 'a', text);
    g_autoptr(LvmGroups) groups = lvm_groups_new();

    ck_assert(add(groups, pv, "vda"));
    g_autoptr(GPtrArray) none = lvm_groups_activate(groups);
    ck_assert_uint_eq(none->len, 0);
    g_autoptr(GPtrArray) found = lvm_groups_activate_partial(groups);
    ck_assert_uint_eq(found->len, 2);
    const StackedVolume *root = g_ptr_array_index(found, 0);
    ck_assert_ptr_null(root->bytes);
    ck_assert_ptr_nonnull(strstr(root->note, "not among the disks given (bbbbbb-bbbb-"));
    ck_assert_ptr_nonnull(((StackedVolume *)g_ptr_array_index(found, 1))->bytes);
    g_autoptr(GPtrArray) again = lvm_groups_activate_partial(groups);
    ck_assert_uint_eq(again->len, 0);
}
END_TEST

START_TEST(a_volume_without_a_readable_copy_says_so)
{
    g_autofree Pv *pv = pv_new(uuid_a, 'a', GROUP("1", ROOT));
    g_autoptr(LvmGroups) groups = lvm_groups_new();

    pv->data[MDA_OFFSET + SECTOR + 40] ^= 1;
    ck_assert(add(groups, pv, "vda"));
    g_autoptr(GPtrArray) found = lvm_groups_activate_partial(groups);
    ck_assert_str_eq(only(found)->name, "vda");
    ck_assert_ptr_nonnull(strstr(only(found)->note, "checksum"));
}
END_TEST

START_TEST(a_damaged_label_is_an_error)
{
    g_autofree Pv *pv = pv_new(uuid_a, 'a', NULL);
    g_autoptr(LvmGroups) groups = lvm_groups_new();

    pv->data[SECTOR + 40] ^= 1;
    ck_assert(!add(groups, pv, "vda"));
}
END_TEST

/* Checksums that are right, and everything behind them is not. */
START_TEST(no_header_leads_outside_the_volume)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(4711);
    static const uint64_t values[] = {
        0, 1, 511, 512, 4095, 0x7fffffff, 0xffffffff, UINT64_C(0x7fffffffffffffff), UINT64_MAX};

    for (unsigned round = 0; round < 300; round++) {
        g_autofree Pv *pv = pv_new(uuid_a, 'a', GROUP("1", ROOT));
        g_autoptr(LvmGroups) groups = lvm_groups_new();
        for (unsigned i = 0; i < 3; i++) {
            uint64_t value = values[g_rand_int_range(random, 0, G_N_ELEMENTS(values))];
            put_le(pv->data + SECTOR + 64 + 8 * g_rand_int_range(random, 0, 8), value, 8);
            put_le(pv->data + MDA_OFFSET + 24 + 8 * g_rand_int_range(random, 0, 6), value, 8);
        }
        put_le(pv->data + SECTOR + 20, values[g_rand_int_range(random, 0, 9)], 4);
        seal_label(pv);
        seal_header(pv);
        add(groups, pv, "vda");
        g_autoptr(GPtrArray) found = lvm_groups_activate_partial(groups);
        ck_assert_uint_le(found->len, 1);
    }
}
END_TEST

/* ---- the text ---- */

static LvmNode *parse(const char *text)
{
    return lvm_text_parse(text, strlen(text), NULL);
}

START_TEST(the_text_is_read_with_all_that_lvm_writes)
{
    g_autoptr(LvmNode) root =
        parse("# Generated by LVM2\ncontents = \"Text \\\"Format\\\" \\\\\"\nversion = 1\n"
              "creation_time = 1700000000\t# now\nempty = []\nlist = [\"a\", 2, [\"b\"]]\n"
              "vg-0.x+y { flags = [\"x\"]\ninner { number = -5 } }\n");
    uint64_t number = 0;

    ck_assert_ptr_nonnull(root);
    ck_assert_str_eq(lvm_node_string(root, "contents"), "Text \"Format\" \\");
    ck_assert(lvm_node_number(root, "version", &number) && number == 1);
    ck_assert_uint_eq(lvm_node_find(root, "list", LVM_LIST)->children->len, 3);
    ck_assert_uint_eq(lvm_node_find(root, "empty", LVM_LIST)->children->len, 0);
    const LvmNode *group = lvm_node_find(root, "vg-0.x+y", LVM_SECTION);
    ck_assert(lvm_node_lists(group, "flags", "x") && !lvm_node_lists(group, "flags", "y"));
    ck_assert(!lvm_node_number(lvm_node_find(group, "inner", LVM_SECTION), "number", &number));
    ck_assert_ptr_null(lvm_node_string(root, "version"));
    ck_assert_ptr_null(lvm_node_string(NULL, "version"));
}
END_TEST

START_TEST(broken_text_is_an_error_with_its_line)
{
    static const char *const cases[] = {
        "a {",      "a = ",    "a = [1, 2",    "a = [1 2]",      "a = \"x", "{ }",
        "a",        "a = }",   "a { b = 1",    "a = 1 }",        "= 1",     "a = [ , ]",
        "a = \"\\", "a = 12x", "a { } } b { ", "a = [\"b\" = 1]"};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strconcat("ok = 1\n", cases[i], NULL);
        ck_assert_msg(!lvm_text_parse(text, strlen(text), &error), "%s", cases[i]);
        ck_assert_msg(strstr(error->message, "line 2"), "%s: %s", cases[i], error->message);
    }
}
END_TEST

START_TEST(text_without_end_is_an_error_and_not_an_overflow)
{
    const char *const pieces[] = {"a { ", "a = [", "[", "a = 1 ", "\"", "{"};

    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
        g_autoptr(GString) text = g_string_new("a = [");
        if (i != 2)
            g_string_truncate(text, 0);
        while (text->len < 2000000)
            g_string_append(text, pieces[i]);
        g_autoptr(LvmNode) node = lvm_text_parse(text->str, text->len, NULL);
        ck_assert_ptr_null(node);
    }
}
END_TEST

START_TEST(no_random_text_does_any_harm)
{
    static const char alphabet[] = "ab1 \n\"\\[]{}=,#-\t";
    g_autoptr(GRand) random = g_rand_new_with_seed(4711);

    for (unsigned round = 0; round < 20000; round++) {
        char text[64];
        for (unsigned i = 0; i < sizeof text; i++)
            text[i] = alphabet[g_rand_int_range(random, 0, sizeof alphabet)];
        g_autoptr(LvmNode) node = lvm_text_parse(text, sizeof text, NULL);
        ck_assert(!node || node->kind == LVM_SECTION);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lvm");
    TCase *tcase = tcase_create("lvm");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_linear_volume_is_put_together_from_segments_on_several_disks);
    tcase_add_test(tcase, one_copy_of_the_metadata_is_enough_and_the_newest_counts);
    tcase_add_test(tcase, metadata_that_wind_around_the_end_of_their_ring_are_read);
    tcase_add_test(tcase, what_is_not_linear_is_named_with_the_reason);
    tcase_add_test(tcase, a_snapshot_is_not_taken_for_the_volume_and_hidden_volumes_are_not_shown);
    tcase_add_test(tcase, a_group_with_a_missing_disk_waits_and_then_shows_what_is_whole);
    tcase_add_test(tcase, a_volume_without_a_readable_copy_says_so);
    tcase_add_test(tcase, a_damaged_label_is_an_error);
    tcase_add_test(tcase, no_header_leads_outside_the_volume);
    tcase_add_test(tcase, the_text_is_read_with_all_that_lvm_writes);
    tcase_add_test(tcase, broken_text_is_an_error_with_its_line);
    tcase_add_test(tcase, text_without_end_is_an_error_and_not_an_overflow);
    tcase_add_test(tcase, no_random_text_does_any_harm);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
