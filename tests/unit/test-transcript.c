/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/transcript.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *request_of(const char *text, bool hide)
{
    json_object *value = json_tokener_parse(text);
    char *transcript = transcript_request(value, hide);
    json_object_put(value);
    return transcript;
}

static char *reply_of(const char *line)
{
    return transcript_reply(line, strlen(line));
}

/* {"buf-b64": "AAAA..."} with size times A, ended by tail. */
static char *with_payload(size_t size, const char *tail)
{
    g_autofree char *payload = g_strnfill(size, 'A');
    return g_strdup_printf("{\"buf-b64\": \"%s\"}%s", payload, tail);
}

START_TEST(a_short_request_is_shown_as_it_is)
{
    const char *text = "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": -5, \"x\": [1, null, "
                       "true, 1.5, \"a\\nb\"]}}";
    g_autofree char *shown = request_of(text, false);
    ck_assert_str_eq(shown, text);
}
END_TEST

START_TEST(a_long_string_of_a_request_gives_way_to_its_length)
{
    g_autofree char *text = with_payload(65536, "");
    g_autofree char *shown = request_of(text, false);
    ck_assert_str_eq(shown, "{\"buf-b64\": \"AAAAAAAAAAAAAAAA...(65536 bytes)\"}");
}
END_TEST

START_TEST(a_string_at_the_bound_is_shown_whole)
{
    g_autofree char *at_bound = with_payload(TRANSCRIPT_STRING_BYTES, "");
    g_autofree char *above = with_payload(TRANSCRIPT_STRING_BYTES + 1, "");
    g_autofree char *shown_at_bound = request_of(at_bound, false);
    g_autofree char *shown_above = request_of(above, false);
    ck_assert_str_eq(shown_at_bound, at_bound);
    ck_assert_ptr_nonnull(strstr(shown_above, "...(257 bytes)"));

    g_autofree char *reply_at_bound = reply_of(at_bound);
    g_autofree char *reply_above = reply_of(above);
    ck_assert_str_eq(reply_at_bound, at_bound);
    ck_assert_ptr_nonnull(strstr(reply_above, "...(257 bytes)"));
}
END_TEST

START_TEST(a_long_string_with_newlines_stays_on_one_line)
{
    g_autofree char *newlines = g_strnfill(300, 'n');
    g_autofree char *text = g_strdup_printf("[\"ab\\n%s\"]", newlines);
    g_autofree char *shown = request_of(text, false);
    ck_assert_str_eq(shown, "[\"ab...(303 bytes)\"]");
}
END_TEST

START_TEST(hidden_arguments_leave_name_and_id)
{
    g_autofree char *shown = request_of("{\"execute\": \"guest-set-user-password\", \"id\": [3], "
                                        "\"arguments\": {\"password\": \"hush\"}, \"x\": \"hush\"}",
                                        true);
    ck_assert_str_eq(shown, "{\"execute\": \"guest-set-user-password\", \"id\": [3], ...}");
}
END_TEST

START_TEST(hidden_arguments_of_what_is_no_object_leave_nothing)
{
    g_autofree char *shown = request_of("[\"hush\"]", true);
    ck_assert_str_eq(shown, "...");
}
END_TEST

START_TEST(null_is_a_request_too)
{
    g_autofree char *shown = transcript_request(NULL, false);
    ck_assert_str_eq(shown, "null");
}
END_TEST

START_TEST(a_reply_loses_newline_and_delimiter)
{
    g_autofree char *shown = reply_of("\xff{\"return\": 1}\n");
    ck_assert_str_eq(shown, "{\"return\": 1}");
}
END_TEST

START_TEST(a_long_string_of_a_reply_gives_way_to_its_length)
{
    g_autofree char *line = with_payload(65536, "\n");
    g_autofree char *shown = reply_of(line);
    ck_assert_str_eq(shown, "{\"buf-b64\": \"AAAAAAAAAAAAAAAA...(65536 bytes)\"}");
}
END_TEST

START_TEST(quotes_within_a_reply_do_not_end_its_strings)
{
    const char *line = "{\"a\": \"x\\\"y\\\\\", \"b\": \"\"}";
    g_autofree char *shown = reply_of(line);
    ck_assert_str_eq(shown, line);

    g_autofree char *payload = g_strnfill(400, 'z');
    g_autofree char *tricky =
        g_strdup_printf("{\"a\": \"%s\\\\\\\"%s\", \"b\": 1}\n", payload, payload);
    g_autofree char *shown_tricky = reply_of(tricky);
    ck_assert_str_eq(shown_tricky, "{\"a\": \"zzzzzzzzzzzzzzzz...(804 bytes)\", \"b\": 1}");
}
END_TEST

START_TEST(no_entry_is_longer_than_its_bound)
{
    GString *many = g_string_new("[0");
    for (int i = 0; i < 10000; i++)
        g_string_append(many, ", \"element\"");
    g_string_append(many, "]");

    g_autofree char *request = request_of(many->str, false);
    g_autofree char *reply = reply_of(many->str);
    ck_assert_uint_le(strlen(request), TRANSCRIPT_BYTES + 3);
    ck_assert_uint_le(strlen(reply), TRANSCRIPT_BYTES + 3);
    ck_assert(g_str_has_suffix(request, "..."));
    ck_assert(g_str_has_suffix(reply, "..."));
    g_string_free(many, TRUE);
}
END_TEST

START_TEST(a_cut_never_splits_a_character)
{
    GString *text = g_string_new("[\"");
    for (int i = 0; i < 200; i++)
        g_string_append(text, "\xc3\xa9");
    g_string_append(text, "\"]");
    g_autofree char *request = request_of(text->str, false);
    g_autofree char *reply = reply_of(text->str);
    ck_assert(g_utf8_validate(request, -1, NULL));
    ck_assert(g_utf8_validate(reply, -1, NULL));
    g_string_free(text, TRUE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transcript");
    TCase *tests = tcase_create("transcript");
    tcase_add_test(tests, a_short_request_is_shown_as_it_is);
    tcase_add_test(tests, a_long_string_of_a_request_gives_way_to_its_length);
    tcase_add_test(tests, a_string_at_the_bound_is_shown_whole);
    tcase_add_test(tests, a_long_string_with_newlines_stays_on_one_line);
    tcase_add_test(tests, hidden_arguments_leave_name_and_id);
    tcase_add_test(tests, hidden_arguments_of_what_is_no_object_leave_nothing);
    tcase_add_test(tests, null_is_a_request_too);
    tcase_add_test(tests, a_reply_loses_newline_and_delimiter);
    tcase_add_test(tests, a_long_string_of_a_reply_gives_way_to_its_length);
    tcase_add_test(tests, quotes_within_a_reply_do_not_end_its_strings);
    tcase_add_test(tests, no_entry_is_longer_than_its_bound);
    tcase_add_test(tests, a_cut_never_splits_a_character);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
