/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/verdict.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* 'f' for, 'a' against, 's' silent, '-' no such piece; in the order claim, counters, canary, disk.
 */
static GPtrArray *pieces(const char *stances)
{
    GPtrArray *evidence = g_ptr_array_new_with_free_func((GDestroyNotify)evidence_free);

    for (unsigned source = EVIDENCE_CLAIM; source <= EVIDENCE_DISK; source++) {
        char letter = source < strlen(stances) ? stances[source] : '-';
        EvidenceStance stance = letter == 'f'   ? EVIDENCE_FOR
                                : letter == 'a' ? EVIDENCE_AGAINST
                                                : EVIDENCE_SILENT;
        if (letter != '-')
            g_ptr_array_add(evidence, evidence_new(source, stance, g_strdup("because"), NULL));
    }
    return evidence;
}

static Verdict reach(const char *stances)
{
    g_autoptr(GPtrArray) evidence = pieces(stances);

    return verdict_reach(evidence);
}

START_TEST(the_claim_and_an_independent_piece_mean_frozen)
{
    const char *const cases[] = {"ffs", "fsf", "fff", "ff-", "f-f", "f--f", "fssf"};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
        ck_assert_msg(reach(cases[i]) == VERDICT_FROZEN, "%s", cases[i]);
}
END_TEST

START_TEST(the_agents_word_alone_proves_nothing)
{
    const char *const cases[] = {"fss", "f--", "fs-", "f-s", "fsss"};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
        ck_assert_msg(reach(cases[i]) == VERDICT_UNPROVEN, "%s", cases[i]);
}
END_TEST

START_TEST(independent_pieces_without_the_claim_prove_nothing)
{
    const char *const cases[] = {"sff", "-ff", "sf-", "--f", "sss", "---", "---f", "ssff"};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
        ck_assert_msg(reach(cases[i]) == VERDICT_UNPROVEN, "%s", cases[i]);
}
END_TEST

START_TEST(of_all_combinations_each_with_a_piece_against_is_not_frozen_and_no_other)
{
    static const char letters[] = "fas-";
    unsigned frozen = 0;

    for (unsigned i = 0; i < 256; i++) {
        char stances[5] = {letters[i % 4], letters[i / 4 % 4], letters[i / 16 % 4], letters[i / 64],
                           '\0'};
        Verdict verdict = reach(stances);
        bool against = strchr(stances, 'a') != NULL;
        ck_assert_msg((verdict == VERDICT_NOT_FROZEN) == against, "%s", stances);
        frozen += verdict == VERDICT_FROZEN;
    }
    /* claim for; the other three from {for, silent, absent}, at least one of them for */
    ck_assert_uint_eq(frozen, 19);
}
END_TEST

START_TEST(only_a_proven_freeze_is_more_than_crash_consistent)
{
    HookOutcome hooks = {.known = true, .ran = 2, .failed = 0};

    ck_assert_int_eq(verdict_consistency(VERDICT_NOT_FROZEN, &hooks), CONSISTENCY_CRASH);
    ck_assert_int_eq(verdict_consistency(VERDICT_UNPROVEN, &hooks), CONSISTENCY_CRASH);
}
END_TEST

START_TEST(hooks_that_all_ended_well_make_it_application_consistent)
{
    HookOutcome well = {.known = true, .ran = 2, .failed = 0};
    HookOutcome badly = {.known = true, .ran = 2, .failed = 1};
    HookOutcome none = {.known = true, .ran = 0, .failed = 0};
    HookOutcome unknown = {.known = false};

    ck_assert_int_eq(verdict_consistency(VERDICT_FROZEN, &well), CONSISTENCY_APPLICATION);
    ck_assert_int_eq(verdict_consistency(VERDICT_FROZEN, &badly), CONSISTENCY_FILESYSTEM);
    ck_assert_int_eq(verdict_consistency(VERDICT_FROZEN, &none), CONSISTENCY_FILESYSTEM);
    ck_assert_int_eq(verdict_consistency(VERDICT_FROZEN, &unknown), CONSISTENCY_FILESYSTEM);
}
END_TEST

START_TEST(words_and_exit_statuses_are_the_documented_ones)
{
    ck_assert_str_eq(verdict_name(VERDICT_FROZEN), "FROZEN");
    ck_assert_str_eq(verdict_name(VERDICT_NOT_FROZEN), "NOT FROZEN");
    ck_assert_str_eq(verdict_name(VERDICT_UNPROVEN), "UNPROVEN");
    ck_assert_int_eq(verdict_exit_status(VERDICT_FROZEN), 0);
    ck_assert_int_eq(verdict_exit_status(VERDICT_NOT_FROZEN), 1);
    ck_assert_int_eq(verdict_exit_status(VERDICT_UNPROVEN), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verdict");
    TCase *tcase = tcase_create("verdict");

    tcase_add_test(tcase, the_claim_and_an_independent_piece_mean_frozen);
    tcase_add_test(tcase, the_agents_word_alone_proves_nothing);
    tcase_add_test(tcase, independent_pieces_without_the_claim_prove_nothing);
    tcase_add_test(tcase, of_all_combinations_each_with_a_piece_against_is_not_frozen_and_no_other);
    tcase_add_test(tcase, only_a_proven_freeze_is_more_than_crash_consistent);
    tcase_add_test(tcase, hooks_that_all_ended_well_make_it_application_consistent);
    tcase_add_test(tcase, words_and_exit_statuses_are_the_documented_ones);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
