/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/fleet-summary.h"
#include "prober/target-list.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The row of a guest that ended with this status and left this report. */
static FleetRow *row(const char *verb, int status, const char *text)
{
    json_object *report = text ? json_tokener_parse(text) : NULL;
    FleetRow *result = fleet_row_new(verb, "vm1", status, report);

    json_object_put(report);
    return result;
}

/* Rows of verify, one for each letter: 0 to 3 the exit status, u unthawed. */
static GPtrArray *rows(const char *letters)
{
    static const char *const reports[] = {
        "{\"verdict\":\"FROZEN\"}", "{\"verdict\":\"NOT FROZEN\"}", "{\"verdict\":\"UNPROVEN\"}",
        "{\"error\":\"nobody answers\"}"};
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)fleet_row_free);

    for (; *letters; letters++)
        g_ptr_array_add(list, *letters == 'u'
                                  ? row("verify", 3, "{\"guest-may-be-frozen\":true}")
                                  : row("verify", *letters - '0', reports[*letters - '0']));
    return list;
}

START_TEST(the_exit_status_is_that_of_the_worst_guest)
{
    static const struct {
        const char *letters;
        int status;
    } cases[] = {
        {"0", 0},  {"000", 0}, {"020", 2}, {"2000", 2}, {"0300", 3},
        {"23", 3}, {"013", 1}, {"12", 1},  {"0u1", 3},  {"u", 3},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) list = rows(cases[i].letters);
        ck_assert_msg(fleet_exit_status(list) == cases[i].status, "%s", cases[i].letters);
    }
}
END_TEST

START_TEST(guests_are_counted_by_outcome_the_worst_first)
{
    g_autoptr(GPtrArray) list = rows("0203100u0");
    g_autofree char *text = fleet_count_text(list);

    ck_assert_str_eq(text,
                     "9 guests: 1 MAY BE FROZEN, 1 NOT FROZEN, 1 error, 1 UNPROVEN, 5 FROZEN");
}
END_TEST

START_TEST(a_guest_without_a_report_is_an_error_whatever_the_verb)
{
    static const char *const verbs[] = {"ping", "info", "status", "freeze", "thaw", "verify"};

    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++) {
        g_autoptr(FleetRow) lost = row(verbs[i], 3, NULL);
        g_auto(GStrv) headings = fleet_row_headings(verbs[i]);
        ck_assert_str_eq(lost->outcome, "error");
        ck_assert_int_eq(lost->standing, FLEET_FAILED);
        ck_assert_uint_eq(g_strv_length(headings), FLEET_MAX_CELLS + 3);
    }
}
END_TEST

START_TEST(an_exit_status_that_no_verb_has_is_an_error)
{
    static const int statuses[] = {-1, 4, 127};

    for (unsigned i = 0; i < G_N_ELEMENTS(statuses); i++) {
        g_autoptr(FleetRow) odd = row("ping", statuses[i], "{}");
        ck_assert_int_eq(odd->standing, FLEET_FAILED);
    }
}
END_TEST

START_TEST(a_row_tells_the_figures_and_the_reason)
{
    g_autoptr(FleetRow) false_claim =
        row("verify", 1,
            "{\"verdict\":\"NOT FROZEN\",\"consistency\":\"crash-consistent\",\"window\":{"
            "\"frozen-count\":3,\"freeze-ms\":12.34,\"hold-ms\":2004.0},\"evidence\":["
            "{\"source\":\"claim\",\"stance\":\"for\",\"summary\":\"froze 3\"},"
            "{\"source\":\"canary\",\"stance\":\"against\",\"summary\":\"7 writes\"}]}");

    ck_assert_str_eq(false_claim->outcome, "NOT FROZEN");
    ck_assert_str_eq(false_claim->cells[0], "3");
    ck_assert_str_eq(false_claim->cells[1], "12.3 ms");
    ck_assert_str_eq(false_claim->cells[2], "2.00 s");
    ck_assert_str_eq(false_claim->because, "canary: 7 writes");
}
END_TEST

START_TEST(a_state_of_the_agents_own_invention_is_unknown)
{
    g_autoptr(FleetRow) invented = row("status", 0, "{\"state\":\"lukewarm\"}");
    g_autoptr(FleetRow) frozen = row("status", 0, "{\"state\":\"frozen\"}");

    ck_assert_str_eq(invented->outcome, "unknown");
    ck_assert_str_eq(frozen->outcome, "frozen");
}
END_TEST

START_TEST(a_report_of_wrong_types_makes_no_trouble)
{
    static const char *const verbs[] = {"ping", "info", "status", "freeze", "thaw", "verify"};

    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++) {
        g_autoptr(FleetRow) odd =
            row(verbs[i], 0,
                "{\"agent\":7,\"round-trip\":[],\"window\":\"x\",\"filesystems\":{},\"state\":[],"
                "\"evidence\":[1,{\"stance\":\"for\"},null],\"verdict\":\"FROZEN\",\"error\":{}}");
        ck_assert_int_eq(odd->standing, FLEET_GOOD);
    }
}
END_TEST

START_TEST(a_freeze_that_was_taken_back_is_no_success)
{
    g_autoptr(FleetRow) thawed = row("freeze", 0, "{}");
    g_autoptr(FleetRow) stuck = row("freeze", 0, "{}");

    fleet_row_take_back(thawed, true, g_strdup("interrupted"));
    fleet_row_take_back(stuck, false, g_strdup("no answer"));
    ck_assert_int_eq(thawed->standing, FLEET_FAILED);
    ck_assert_int_eq(stuck->standing, FLEET_UNTHAWED);
    ck_assert_str_eq(stuck->because, "no answer");
}
END_TEST

START_TEST(the_monitor_of_a_pattern_has_what_the_star_stands_for)
{
    static const struct {
        const char *path;
        const char *pattern;
        const char *qmp_pattern;
        const char *qmp; /* NULL: none */
    } cases[] = {
        {"/run/100.qga", "/run/*.qga", "/run/*.qmp", "/run/100.qmp"},
        {"/vm/a/agent", "/vm/*/agent", "/mon/qmp-*", "/mon/qmp-a"},
        {"/vm/a", "/vm/*", "*", "a"},
        {"/vm/.sock", "/vm/*.sock", "/q/*", "/q/"},
        {"/vm/a", "/vm/?", "/q/*", NULL},
        {"/vm/a/b", "/vm/*/*", "/q/*", NULL},
        {"/vm/a", "/vm/*", "/q/a", NULL},
        {"/vm/a", "/vm/[a]*", "/q/*", NULL},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *qmp =
            target_list_pair(cases[i].path, cases[i].pattern, cases[i].qmp_pattern);
        ck_assert_msg(g_strcmp0(qmp, cases[i].qmp) == 0, "%s: %s", cases[i].pattern, qmp);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fleet-summary");
    TCase *all = tcase_create("all");

    tcase_add_test(all, the_exit_status_is_that_of_the_worst_guest);
    tcase_add_test(all, guests_are_counted_by_outcome_the_worst_first);
    tcase_add_test(all, a_guest_without_a_report_is_an_error_whatever_the_verb);
    tcase_add_test(all, an_exit_status_that_no_verb_has_is_an_error);
    tcase_add_test(all, a_row_tells_the_figures_and_the_reason);
    tcase_add_test(all, a_state_of_the_agents_own_invention_is_unknown);
    tcase_add_test(all, a_report_of_wrong_types_makes_no_trouble);
    tcase_add_test(all, a_freeze_that_was_taken_back_is_no_success);
    tcase_add_test(all, the_monitor_of_a_pattern_has_what_the_star_stands_for);
    suite_add_tcase(suite, all);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
