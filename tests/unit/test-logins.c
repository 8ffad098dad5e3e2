/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/logins.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#define SESSION(class, state) \
    "# This is private data. Do not parse.\n" \
    "UID=1000\nUSER=jane\nACTIVE=1\nIS_DISPLAY=1\nSTATE=" state \
    "\nREMOTE=0\nTYPE=tty\nCLASS=" class "\nSEAT=seat0\nTTY=tty1\nLEADER=702\nAUDIT=2\nREALTIME=" \
                                         "1698399000123456\n" \
                                         "MONOTONIC=52345678\n"

static bool counts(const char *text)
{
    g_autoptr(Login) login = login_parse_session(text);

    return login != NULL;
}

START_TEST(a_session_tells_its_user_and_since_when)
{
    g_autoptr(Login) login = login_parse_session(SESSION("user", "active"));

    ck_assert_ptr_nonnull(login);
    ck_assert_str_eq(login->user, "jane");
    ck_assert_int_eq(login->since_us, 1698399000123456);
}
END_TEST

START_TEST(root_logs_in_early_since_systemd_256)
{
    ck_assert(counts(SESSION("user-early", "active")));
    ck_assert(counts(SESSION("user-light", "online")));
}
END_TEST

START_TEST(what_is_no_persons_session_does_not_count)
{
    ck_assert(!counts(SESSION("greeter", "active")));
    ck_assert(!counts(SESSION("manager-early", "active")));
    ck_assert(!counts(SESSION("background", "active")));
    ck_assert(!counts(SESSION("user-incomplete", "opening")));
}
END_TEST

START_TEST(a_session_whose_user_has_gone_does_not_count)
{
    ck_assert(!counts(SESSION("user", "closing")));
}
END_TEST

START_TEST(a_session_file_that_is_cut_short_is_no_login)
{
    ck_assert(!counts(""));
    ck_assert(!counts("UID=0\nUSER=\nCLASS=user\n"));
    ck_assert(!counts("UID=0\nXUSER=root\nCLASS=user\n"));
    ck_assert(!counts("UID=0\nUSER=root\n"));
    ck_assert(counts("CLASS=user\nUSER=root"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logins");
    TCase *tcase = tcase_create("logins");
    tcase_add_test(tcase, a_session_tells_its_user_and_since_when);
    tcase_add_test(tcase, root_logs_in_early_since_systemd_256);
    tcase_add_test(tcase, what_is_no_persons_session_does_not_count);
    tcase_add_test(tcase, a_session_whose_user_has_gone_does_not_count);
    tcase_add_test(tcase, a_session_file_that_is_cut_short_is_no_login);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
