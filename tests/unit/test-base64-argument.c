/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/arguments.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    ArgumentBytes data;
} Values;

static const Argument table[] = {
    ARGUMENT("data", ARGUMENT_BASE64, OPTIONAL, Values, data),
    ARGUMENT_END,
};

static bool parse(json_object *value, Values *values, GError **error)
{
    json_object *object = json_object_new_object();

    json_object_object_add(object, "data", value);
    bool parsed = arguments_parse(table, object, values, sizeof *values, error);
    json_object_put(object);
    return parsed;
}

static const struct {
    const char *text;
    const char *bytes;
} good[] = {
    {"", ""},        {"QQ==", "A"},       {"QUI=", "AB"},
    {"QUJD", "ABC"}, {"QU\nJD\n", "ABC"}, {"QQ=\n=\n", "A"},
};

START_TEST(base64_becomes_what_it_stands_for)
{
    g_autoptr(GError) error = NULL;
    Values values;

    ck_assert(parse(json_object_new_string(good[_i].text), &values, &error));
    ck_assert_uint_eq(values.data.length, strlen(good[_i].bytes));
    ck_assert_ptr_nonnull(values.data.bytes);
    ck_assert_mem_eq(values.data.bytes, good[_i].bytes, values.data.length);
    arguments_clear(table, &values);
    ck_assert_ptr_null(values.data.bytes);
}
END_TEST

/* Parses the text with one character put in at a place. */
static bool parse_with(const char *text, size_t at, char inserted, Values *values)
{
    g_autoptr(GString) longer = g_string_new(text);

    g_string_insert_c(longer, (gssize)at, inserted);
    return parse(json_object_new_string(longer->str), values, NULL);
}

START_TEST(a_newline_may_stand_anywhere_and_nothing_else)
{
    const uint8_t bytes[40] = "base64 in groups, and one left over .. ";

    for (size_t length = 36; length <= sizeof bytes; length++) {
        g_autofree char *text = g_base64_encode(bytes, length);
        for (size_t at = 0; at <= strlen(text); at++) {
            Values values;
            ck_assert(parse_with(text, at, '\n', &values));
            ck_assert_uint_eq(values.data.length, length);
            ck_assert_mem_eq(values.data.bytes, bytes, length);
            arguments_clear(table, &values);
            for (const char *wrong = "=A -_\x7f\xff"; *wrong != '\0'; wrong++) {
                ck_assert(!parse_with(text, at, *wrong, &values));
                arguments_clear(table, &values);
            }
        }
    }
}
END_TEST

START_TEST(every_byte_and_every_length_survives)
{
    uint8_t bytes[256];
    Values values;

    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        g_autofree char *text = g_base64_encode(bytes, length);
        ck_assert(parse(json_object_new_string(text), &values, NULL));
        ck_assert_uint_eq(values.data.length, length);
        ck_assert_mem_eq(values.data.bytes, bytes, length);
        arguments_clear(table, &values);
    }
}
END_TEST

static const char *const bad[] = {
    "Q",    "QQ",   "QUJ",      "QUJDR", "QQ=",  "=",        "====",    "QUJD=",
    "Q===", "Q=Q=", "QQ==QUJD", "QUJ!",  "QUJ ", "QUJD\r\n", "QUJ\xc3", "QUJ-",
};

START_TEST(what_is_not_base64_is_refused)
{
    g_autoptr(GError) error = NULL;
    Values values;

    ck_assert_msg(!parse(json_object_new_string(bad[_i]), &values, &error), "%s", bad[_i]);
    ck_assert_str_eq(error->message, "Parameter 'data' is not valid base64");
    arguments_clear(table, &values);
}
END_TEST

START_TEST(a_nul_inside_is_refused_and_not_the_end)
{
    static const char text[] = "QUJD\0QUJD";
    Values values;

    for (int length = 5; length <= 9; length += 4) {
        ck_assert(!parse(json_object_new_string_len(text, length), &values, NULL));
        arguments_clear(table, &values);
    }
    ck_assert(!parse(json_object_new_string_len("\0", 1), &values, NULL));
    arguments_clear(table, &values);
}
END_TEST

START_TEST(an_absent_argument_has_no_bytes)
{
    Values values;

    ck_assert(arguments_parse(table, NULL, &values, sizeof values, NULL));
    ck_assert_ptr_null(values.data.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base64-argument");
    TCase *tests = tcase_create("base64-argument");

    tcase_add_loop_test(tests, base64_becomes_what_it_stands_for, 0, G_N_ELEMENTS(good));
    tcase_add_test(tests, every_byte_and_every_length_survives);
    tcase_add_test(tests, a_newline_may_stand_anywhere_and_nothing_else);
    tcase_add_loop_test(tests, what_is_not_base64_is_refused, 0, G_N_ELEMENTS(bad));
    tcase_add_test(tests, a_nul_inside_is_refused_and_not_the_end);
    tcase_add_test(tests, an_absent_argument_has_no_bytes);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
