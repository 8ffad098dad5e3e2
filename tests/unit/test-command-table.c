/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command-table.h"
#include "protocol/protocol-error.h"

#include <check.h>
#include <stdlib.h>

static const Command one_family[] = {
    {.name = "guest-sync", .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-file-open"},
    {.name = NULL},
};
static const Command other_family[] = {
    {.name = "guest-info", .flags = COMMAND_WHILE_FROZEN},
    {.name = NULL},
};
static const Command *const families[] = {one_family, other_family, NULL};

static CommandTable *table;

static void set_up(void)
{
    table = command_table_new(families);
}

static void tear_down(void)
{
    command_table_free(table);
}

static void assert_permitted(const char *name, bool frozen)
{
    g_autoptr(GError) error = NULL;
    const Command *command = command_table_find(table, name);
    ck_assert(command_table_permits(table, command, frozen, &error));
    ck_assert_ptr_null(error);
}

static void assert_refused(const char *name, bool frozen, const char *text)
{
    g_autoptr(GError) error = NULL;
    const Command *command = command_table_find(table, name);
    ck_assert(!command_table_permits(table, command, frozen, &error));
    ck_assert(g_error_matches(error, PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND));
    ck_assert_str_eq(error->message, text);
}

static void restrict_to(const char *const *blocked, const char *const *allowed)
{
    g_strfreev(command_table_restrict(table, blocked, allowed));
}

START_TEST(rows_keep_the_order_of_the_families)
{
    ck_assert_uint_eq(command_table_length(table), 3);
    ck_assert_str_eq(command_table_get(table, 0)->name, "guest-sync");
    ck_assert_str_eq(command_table_get(table, 1)->name, "guest-file-open");
    ck_assert_str_eq(command_table_get(table, 2)->name, "guest-info");
}
END_TEST

START_TEST(a_command_is_found_by_its_whole_name)
{
    ck_assert_ptr_eq(command_table_find(table, "guest-info"), &other_family[0]);
    ck_assert_ptr_null(command_table_find(table, "guest-inf"));
    ck_assert_ptr_null(command_table_find(table, "guest-info "));
    ck_assert_ptr_null(command_table_find(table, ""));
}
END_TEST

START_TEST(without_lists_everything_runs)
{
    assert_permitted("guest-sync", false);
    assert_permitted("guest-file-open", false);
}
END_TEST

START_TEST(while_frozen_only_what_writes_to_no_disk_runs)
{
    assert_permitted("guest-sync", true);
    assert_refused("guest-file-open", true,
                   "Command guest-file-open has been disabled: the agent is in frozen state");
}
END_TEST

START_TEST(a_blocked_command_is_refused)
{
    restrict_to((const char *[]){"guest-info", NULL}, NULL);
    assert_refused("guest-info", false,
                   "Command guest-info has been disabled: the command is not allowed");
    assert_permitted("guest-sync", false);
}
END_TEST

START_TEST(a_blocked_command_stays_refused_while_frozen)
{
    restrict_to((const char *[]){"guest-info", NULL}, NULL);
    assert_refused("guest-info", true,
                   "Command guest-info has been disabled: the command is not allowed");
}
END_TEST

START_TEST(an_allow_list_refuses_all_else_even_guest_sync)
{
    restrict_to((const char *[]){NULL}, (const char *[]){"guest-info", NULL});
    assert_permitted("guest-info", false);
    assert_refused("guest-sync", false,
                   "Command guest-sync has been disabled: the command is not allowed");
}
END_TEST

START_TEST(an_empty_allow_list_refuses_everything)
{
    restrict_to(NULL, (const char *[]){NULL});
    for (unsigned i = 0; i < command_table_length(table); i++)
        ck_assert(!command_table_permits(table, command_table_get(table, i), false, NULL));
}
END_TEST

START_TEST(what_is_blocked_and_allowed_is_refused)
{
    const char *both[] = {"guest-info", NULL};
    restrict_to(both, both);
    assert_refused("guest-info", false,
                   "Command guest-info has been disabled: the command is not allowed");
}
END_TEST

START_TEST(names_that_are_no_command_are_told)
{
    g_auto(GStrv) unknown = command_table_restrict(
        table, (const char *[]){"guest-inof", "guest-info", NULL}, (const char *[]){"x", NULL});
    ck_assert_uint_eq(g_strv_length(unknown), 2);
    ck_assert_str_eq(unknown[0], "guest-inof");
    ck_assert_str_eq(unknown[1], "x");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command-table");
    TCase *tests = tcase_create("command-table");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, rows_keep_the_order_of_the_families);
    tcase_add_test(tests, a_command_is_found_by_its_whole_name);
    tcase_add_test(tests, without_lists_everything_runs);
    tcase_add_test(tests, while_frozen_only_what_writes_to_no_disk_runs);
    tcase_add_test(tests, a_blocked_command_is_refused);
    tcase_add_test(tests, a_blocked_command_stays_refused_while_frozen);
    tcase_add_test(tests, an_allow_list_refuses_all_else_even_guest_sync);
    tcase_add_test(tests, an_empty_allow_list_refuses_everything);
    tcase_add_test(tests, what_is_blocked_and_allowed_is_refused);
    tcase_add_test(tests, names_that_are_no_command_are_told);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
