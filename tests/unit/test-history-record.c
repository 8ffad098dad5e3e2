/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/history-record.h"

#include <check.h>
#include <stdlib.h>

/* filesystems: negative where the record has no list of them. */
static const struct {
    const char *text;
    HistoryEnd end;
    int64_t filesystems;
    const char *reason;
} records[] = {
    {"{'count': 1, 'intact': true, 'filesystems': [{}]}", HISTORY_INTACT, 1, NULL},
    {"{'intact': false, 'broken-reason': 'hold-timeout', 'filesystems': [{}, {}]}", HISTORY_BROKEN,
     2, "hold-timeout"},
    {"{'intact': false, 'broken-reason': 'both died'}", HISTORY_BROKEN, -1, "both died"},
    {"{'error': 'cannot freeze /srv', 'intact': false, 'filesystems': []}", HISTORY_FAILED, 0,
     "cannot freeze /srv"},
    {"{'error': 'cannot freeze /srv', 'intact': true, 'filesystems': [{}]}", HISTORY_FAILED, 1,
     "cannot freeze /srv"},
    {"{'count': 0, 'intact': false, 'filesystems': []}", HISTORY_EMPTY, 0, NULL},
    {"{'filesystems': [{}]}", HISTORY_BROKEN, 1, NULL},
    {"{'intact': 'true', 'filesystems': [{}]}", HISTORY_BROKEN, 1, NULL},
    {"{'intact': 1, 'error': 5, 'filesystems': 7}", HISTORY_BROKEN, -1, NULL},
    {"{}", HISTORY_BROKEN, -1, NULL},
    {"[true]", HISTORY_BROKEN, -1, NULL},
    {"null", HISTORY_BROKEN, -1, NULL},
};

START_TEST(a_window_is_intact_only_where_the_agent_says_so_in_as_many_words)
{
    json_object *window = json_tokener_parse(records[_i].text);
    HistoryRecord record = history_record_read(window);

    ck_assert_int_eq(record.end, records[_i].end);
    ck_assert_int_eq(record.filesystems, records[_i].filesystems);
    ck_assert_pstr_eq(record.reason, records[_i].reason);
    json_object_put(window);
}
END_TEST

START_TEST(who_froze_when_and_for_how_long_is_read)
{
    json_object *window =
        json_tokener_parse("{\"command\": \"quiesce-freeze\", \"began-at-us\": 1795227890914908, "
                           "\"intact\": true, \"held-ms\": 12.5, \"filesystems\": [{}]}");
    HistoryRecord record = history_record_read(window);

    ck_assert_str_eq(record.command, "quiesce-freeze");
    ck_assert_int_eq(record.began_at_us, 1795227890914908);
    ck_assert_double_eq(record.held_ms, 12.5);
    json_object_put(window);
}
END_TEST

START_TEST(a_freeze_that_failed_held_nothing)
{
    json_object *window = json_tokener_parse("{\"error\": \"x\", \"held-ms\": 0}");
    HistoryRecord record = history_record_read(window);

    ck_assert_double_lt(record.held_ms, 0);
    json_object_put(window);
}
END_TEST

static const struct {
    int64_t at_us;
    const char *text;
} times[] = {
    {1795227890914908, "2026-11-21 02:24:50"},
    {1, "1970-01-01 00:00:00"},
    {0, ""},
    {INT64_MAX, ""},
    {INT64_MIN, ""},
};

START_TEST(a_time_is_shown_in_utc_and_nonsense_is_not)
{
    g_autofree char *text = history_record_time(times[_i].at_us);

    ck_assert_str_eq(text, times[_i].text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history-record");
    TCase *tcase = tcase_create("history-record");

    tcase_add_loop_test(tcase, a_window_is_intact_only_where_the_agent_says_so_in_as_many_words, 0,
                        G_N_ELEMENTS(records));
    tcase_add_test(tcase, who_froze_when_and_for_how_long_is_read);
    tcase_add_test(tcase, a_freeze_that_failed_held_nothing);
    tcase_add_loop_test(tcase, a_time_is_shown_in_utc_and_nonsense_is_not, 0, G_N_ELEMENTS(times));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
