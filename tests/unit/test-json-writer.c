/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/json-writer.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static JsonWriter *writer;

static void set_up(void)
{
    writer = json_writer_new();
}

static void tear_down(void)
{
    g_clear_pointer(&writer, json_writer_free);
}

static void assert_text(const char *expected)
{
    size_t length = 0;

    ck_assert_str_eq(json_writer_text(writer, &length), expected);
    ck_assert_uint_eq(length, strlen(expected));
}

START_TEST(objects_arrays_and_scalars_nest)
{
    json_writer_begin_object(writer, NULL);
    json_writer_begin_object(writer, "return");
    json_writer_end_object(writer);
    json_writer_begin_array(writer, "list");
    json_writer_integer(writer, NULL, INT64_MIN);
    json_writer_unsigned(writer, NULL, UINT64_MAX);
    json_writer_begin_array(writer, NULL);
    json_writer_end_array(writer);
    json_writer_begin_object(writer, NULL);
    json_writer_boolean(writer, "yes", true);
    json_writer_boolean(writer, "no", false);
    json_writer_end_object(writer);
    json_writer_end_array(writer);
    json_writer_null(writer, "nothing");
    json_writer_string(writer, "text", "a/b");
    json_writer_string(writer, "none", NULL);
    json_writer_optional_string(writer, "left-out", NULL);
    json_writer_optional_string(writer, "kept", "");
    json_writer_end_object(writer);
    assert_text("{\"return\": {}, \"list\": [-9223372036854775808, 18446744073709551615, [], "
                "{\"yes\": true, \"no\": false}], \"nothing\": null, \"text\": \"a/b\", "
                "\"none\": null, \"kept\": \"\"}");
}
END_TEST

START_TEST(what_needs_an_escape_gets_one_in_names_too)
{
    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "a\"\n", "\b\f\n\r\t\"\\/\x01\x1f\x7f'");
    json_writer_end_object(writer);
    assert_text("{\"a\\\"\\n\": \"\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\\u001f\\u007f'\"}");
}
END_TEST

/* Bytes, and what the string must read as. */
static const struct {
    const char *bytes;
    const char *text;
} encodings[] = {
    {"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"a\xff"
     "b",
     "a\xef\xbf\xbd"
     "b"},
    {"\x80\xbf", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc3", "\xef\xbf\xbd"},
    {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"\xc3(", "\xef\xbf\xbd("},
};

START_TEST(invalid_utf8_becomes_the_replacement_character)
{
    g_autofree char *quoted = g_strdup_printf("\"%s\"", encodings[_i].text);

    json_writer_string(writer, NULL, encodings[_i].bytes);
    assert_text(quoted);
}
END_TEST

START_TEST(any_bytes_read_back_as_valid_text)
{
    guint32 seed = g_random_int();
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);

    for (unsigned round = 0; round < 2000; round++) {
        char bytes[64] = {0};
        gint32 length = g_rand_int_range(random, 0, sizeof bytes);
        for (gint32 i = 0; i < length; i++)
            bytes[i] = (char)g_rand_int_range(random, 1, 256);
        g_autoptr(JsonWriter) one = json_writer_new();
        json_writer_string(one, NULL, bytes);
        g_autofree char *expected = g_utf8_make_valid(bytes, -1);
        json_object *read = json_tokener_parse(json_writer_text(one, NULL));
        ck_assert_msg(read != NULL, "seed %u round %u", seed, round);
        ck_assert_msg(strcmp(json_object_get_string(read), expected) == 0, "seed %u round %u", seed,
                      round);
        json_object_put(read);
    }
}
END_TEST

static const struct {
    double value;
    const char *text;
} numbers[] = {
    {0, "0"},
    {1, "1"},
    {0.1, "0.1"},
    {-2.5, "-2.5"},
    {1.0 / 3, "0.33333333333333331"},
    {1e100, "1e+100"},
    {1668433200.25, "1668433200.25"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {NAN, "null"},
    {INFINITY, "null"},
};

START_TEST(numbers_are_short_and_exact)
{
    json_writer_number(writer, NULL, numbers[_i].value);
    assert_text(numbers[_i].text);
}
END_TEST

START_TEST(a_value_of_json_c_is_written_as_it_is)
{
    static const char text[] = "{\"a\": [1, -0.0, 1.50, 1e5, \"x\\u0000y\\u00e9\", null, true], "
                               "\"b\": {\"c\": 18446744073709551615}, \"d\": {}, \"e\": []}";
    json_object *value = json_tokener_parse(text);

    json_writer_value(writer, NULL, value);
    assert_text("{\"a\": [1, -0.0, 1.50, 1e5, \"x\\u0000y\xc3\xa9\", null, true], "
                "\"b\": {\"c\": 18446744073709551615}, \"d\": {}, \"e\": []}");
    json_object_put(value);
}
END_TEST

START_TEST(base64_in_any_pieces_is_the_same)
{
    uint8_t bytes[50];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 200);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        g_autofree char *encoded = g_base64_encode(bytes, length);
        g_autofree char *expected = g_strdup_printf("[\"%s\", 1]", encoded);
        for (size_t piece = 1; piece <= length + 1; piece++) {
            g_autoptr(JsonWriter) one = json_writer_new();
            json_writer_begin_array(one, NULL);
            json_writer_begin_base64(one, NULL, 0);
            for (size_t at = 0; at < length; at += piece)
                json_writer_append_base64(one, bytes + at, MIN(piece, length - at));
            json_writer_end_base64(one);
            json_writer_integer(one, NULL, 1);
            json_writer_end_array(one);
            ck_assert_str_eq(json_writer_text(one, NULL), expected);
        }
    }
    json_writer_base64(writer, NULL, "any carnal pleas", 16);
    assert_text("\"YW55IGNhcm5hbCBwbGVhcw==\"");
}
END_TEST

START_TEST(a_writer_is_empty_after_its_text_was_taken)
{
    json_writer_string(writer, NULL, "first");
    g_autoptr(GBytes) first = json_writer_steal(writer);
    assert_text("");
    json_writer_integer(writer, NULL, 2);
    g_autoptr(GBytes) second = json_writer_steal(writer);

    ck_assert_uint_eq(g_bytes_get_size(first), 7);
    ck_assert_int_eq(memcmp(g_bytes_get_data(first, NULL), "\"first\"", 7), 0);
    ck_assert_uint_eq(g_bytes_get_size(second), 1);
}
END_TEST

static void name_in_an_array(void)
{
    json_writer_begin_array(writer, NULL);
    json_writer_null(writer, "name");
}

static void no_name_in_an_object(void)
{
    json_writer_begin_object(writer, NULL);
    json_writer_null(writer, NULL);
}

static void wrong_end(void)
{
    json_writer_begin_object(writer, NULL);
    json_writer_end_array(writer);
}

static void end_without_begin(void)
{
    json_writer_end_object(writer);
}

static void second_outermost_value(void)
{
    json_writer_null(writer, NULL);
    json_writer_null(writer, NULL);
}

static void taken_while_open(void)
{
    json_writer_begin_object(writer, NULL);
    json_writer_steal(writer);
}

static void value_inside_base64(void)
{
    json_writer_begin_array(writer, NULL);
    json_writer_begin_base64(writer, NULL, 0);
    json_writer_null(writer, NULL);
}

static void (*const misuses[])(void) = {
    name_in_an_array,       no_name_in_an_object, wrong_end,           end_without_begin,
    second_outermost_value, taken_while_open,     value_inside_base64,
};

START_TEST(misuse_is_caught)
{
    /* GLib's last words are "Bail out!", which a reader of TAP takes for ours. */
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    misuses[_i]();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json-writer");
    TCase *tests = tcase_create("json-writer");

    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, objects_arrays_and_scalars_nest);
    tcase_add_test(tests, what_needs_an_escape_gets_one_in_names_too);
    tcase_add_loop_test(tests, invalid_utf8_becomes_the_replacement_character, 0,
                        G_N_ELEMENTS(encodings));
    tcase_add_test(tests, any_bytes_read_back_as_valid_text);
    tcase_add_loop_test(tests, numbers_are_short_and_exact, 0, G_N_ELEMENTS(numbers));
    tcase_add_test(tests, a_value_of_json_c_is_written_as_it_is);
    tcase_add_test(tests, base64_in_any_pieces_is_the_same);
    tcase_add_test(tests, a_writer_is_empty_after_its_text_was_taken);
    tcase_add_loop_test_raise_signal(tests, misuse_is_caught, SIGABRT, 0, G_N_ELEMENTS(misuses));
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
