/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence-claim.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static json_object *json(const char *text)
{
    json_object *value = json_tokener_parse(text);

    ck_assert_msg(value != NULL, "%s", text);
    return value;
}

static void take_freeze(GuestWindow *window, const char *text)
{
    json_object *reply = json(text);

    guest_window_take_freeze(window, reply);
    json_object_put(reply);
}

static void take_thaw(GuestWindow *window, const char *text)
{
    json_object *reply = json(text);

    guest_window_take_thaw(window, reply);
    window->thaw_tries = 1;
    json_object_put(reply);
}

static GuestFilesystems *guest(const char *text)
{
    json_object *reply = json(text);
    GuestFilesystems *filesystems = guest_filesystems_new(reply);

    json_object_put(reply);
    return filesystems;
}

static const char two_filesystems[] =
    "[{'name': 'vda1', 'mountpoint': '/', 'type': 'ext4', 'disk': []},"
    " {'name': 'vdb', 'mountpoint': '/srv', 'type': 'xfs', 'disk': []},"
    " {'name': 'vdb', 'mountpoint': '/srv/again', 'type': 'xfs', 'disk': []},"
    " {'name': 'vda2', 'mountpoint': '/boot/efi', 'type': 'vfat', 'disk': []}]";

/* A window in which an agent of the plain kind did everything right. */
static GuestWindow *good_window(void)
{
    GuestWindow *window = guest_window_new();

    take_freeze(window, "2");
    take_thaw(window, "2");
    window->frozen_answers = 2;
    return window;
}

static Evidence *judge_for(const GuestWindow *window, const GuestFilesystems *filesystems,
                           const char *const *requested)
{
    g_autoptr(FreezeCoverage) coverage = freeze_coverage_new(filesystems, window, requested);

    return evidence_claim_judge(window, coverage);
}

static void assert_stance(const GuestWindow *window, EvidenceStance stance, const char *mention)
{
    g_autoptr(GuestFilesystems) filesystems = guest(two_filesystems);
    g_autoptr(Evidence) evidence = judge_for(window, filesystems, NULL);

    ck_assert_msg(evidence->stance == stance, "%s: %s", evidence_stance_name(evidence->stance),
                  evidence->summary);
    ck_assert_msg(strstr(evidence->summary, mention) != NULL, "%s", evidence->summary);
}

START_TEST(a_window_without_a_fault_is_a_claim)
{
    g_autoptr(GuestWindow) window = good_window();

    assert_stance(window, EVIDENCE_FOR, "froze 2 of 2 filesystems");
}
END_TEST

START_TEST(a_guest_that_lists_no_filesystems_is_taken_at_its_word)
{
    g_autoptr(GuestWindow) window = good_window();
    g_autoptr(Evidence) evidence = judge_for(window, NULL, NULL);

    ck_assert_int_eq(evidence->stance, EVIDENCE_FOR);
}
END_TEST

START_TEST(an_agent_that_froze_nothing_speaks_against_itself)
{
    g_autoptr(GuestWindow) window = good_window();

    window->frozen_count = 0;
    assert_stance(window, EVIDENCE_AGAINST, "0 filesystems");
    window->frozen_count = -3;
    assert_stance(window, EVIDENCE_AGAINST, "-3 filesystems");
}
END_TEST

START_TEST(a_refused_freeze_is_shown_in_the_agents_words)
{
    g_autoptr(GuestWindow) window = guest_window_new();

    window->freeze_error = g_strdup("failed to open /srv: Input/output error");
    assert_stance(window, EVIDENCE_AGAINST, "failed to open /srv: Input/output error");
}
END_TEST

START_TEST(a_status_other_than_frozen_during_the_hold_is_against)
{
    g_autoptr(GuestWindow) window = good_window();

    window->other_answer = g_strdup("thawed");
    assert_stance(window, EVIDENCE_AGAINST, "thawed");
}
END_TEST

START_TEST(thawing_fewer_than_were_frozen_is_against)
{
    g_autoptr(GuestWindow) window = good_window();

    window->thawed_count = 1;
    assert_stance(window, EVIDENCE_AGAINST, "thawed only 1");
}
END_TEST

START_TEST(a_thaw_sent_again_makes_its_count_meaningless_not_damning)
{
    g_autoptr(GuestWindow) window = good_window();

    window->thawed_count = 0;
    window->thaw_tries = 2;
    assert_stance(window, EVIDENCE_SILENT, "2 times");
}
END_TEST

START_TEST(an_error_for_the_thaw_of_a_thawed_guest_is_against)
{
    g_autoptr(GuestWindow) window = good_window();

    window->thaw_error = g_strdup("thawed by itself at 12:00");
    assert_stance(window, EVIDENCE_AGAINST, "thawed by itself at 12:00");
}
END_TEST

START_TEST(a_broken_window_is_against_with_the_agents_reason)
{
    g_autoptr(GuestWindow) window = guest_window_new();

    take_freeze(window, "{'count': 2, 'filesystems': [], 'skipped': [], 'hooks': []}");
    take_thaw(window, "{'count': 2, 'intact': false, 'broken-reason': 'thawed by others'}");
    window->frozen_answers = 1;
    assert_stance(window, EVIDENCE_AGAINST, "thawed by others");
}
END_TEST

START_TEST(a_window_without_status_or_thaw_is_no_claim)
{
    g_autoptr(GuestWindow) window = good_window();

    window->frozen_answers = 0;
    assert_stance(window, EVIDENCE_SILENT, "status");
    window->frozen_answers = 1;
    window->thaw_replied = false;
    assert_stance(window, EVIDENCE_SILENT, "thaw");
}
END_TEST

START_TEST(freezing_fewer_than_the_guest_has_is_no_claim)
{
    g_autoptr(GuestWindow) window = good_window();

    window->frozen_count = 1;
    window->thawed_count = 1;
    assert_stance(window, EVIDENCE_SILENT, "only 1 filesystems where 2 were expected");
}
END_TEST

START_TEST(what_was_left_out_for_a_reason_is_not_missed)
{
    g_autoptr(GuestWindow) window = guest_window_new();

    take_freeze(window, "{'count': 1, 'filesystems': [{'mountpoint': '/', 'type': 'ext4'}],"
                        " 'skipped': [{'mountpoint': '/srv', 'reason': 'mounted read-only'}]}");
    take_thaw(window, "{'count': 1, 'intact': true, 'filesystems': []}");
    window->frozen_answers = 1;
    assert_stance(window, EVIDENCE_FOR, "froze 1 filesystem,");
}
END_TEST

START_TEST(what_was_left_out_without_a_reason_is_named)
{
    g_autoptr(GuestWindow) window = guest_window_new();

    take_freeze(window, "{'count': 1, 'filesystems': [{'mountpoint': '/', 'type': 'ext4'}]}");
    take_thaw(window, "{'count': 1, 'intact': true, 'filesystems': []}");
    window->frozen_answers = 1;
    assert_stance(window, EVIDENCE_SILENT, "/srv");
}
END_TEST

START_TEST(a_named_mount_point_that_was_not_frozen_is_missed)
{
    const char *const requested[] = {"/", "/srv", "/", NULL};
    g_autoptr(GuestWindow) window = good_window();
    g_autoptr(Evidence) all = judge_for(window, NULL, requested);

    ck_assert_int_eq(all->stance, EVIDENCE_FOR);
    window->frozen_count = 1;
    window->thawed_count = 1;
    g_autoptr(Evidence) fewer = judge_for(window, NULL, requested);
    ck_assert_int_eq(fewer->stance, EVIDENCE_SILENT);
}
END_TEST

static const char *const nonsense[] = {
    "null", "'3'", "[3]", "{}", "{'count': '3'}", "3.5", "true", "{'count': null}",
};

START_TEST(a_reply_that_is_no_count_claims_nothing)
{
    g_autoptr(GuestWindow) window = guest_window_new();
    json_object *reply = json_tokener_parse(nonsense[_i]);

    ck_assert(!guest_window_take_freeze(window, reply));
    ck_assert(!guest_window_take_thaw(window, reply));
    ck_assert(!window->freeze_replied);
    json_object_put(reply);
}
END_TEST

static const char *const odd_lists[] = {
    "{'count': 1, 'filesystems': 7, 'skipped': {}, 'hooks': 'x'}",
    "{'count': 1, 'filesystems': [null, 1, [], {}, {'mountpoint': 5, 'canary': []}]}",
    "{'count': 1, 'filesystems': [{'mountpoint': '/', 'canary': {'writes-before': 'x'}}]}",
    "{'count': 1, 'skipped': [null, {}], 'hooks': [null, {}, {'ok': 'yes'}]}",
};

START_TEST(odd_elements_in_a_reply_are_survived)
{
    g_autoptr(GuestWindow) window = guest_window_new();

    take_freeze(window, odd_lists[_i]);
    take_thaw(window, odd_lists[_i]);
    window->frozen_answers = 1;
    g_autoptr(Evidence) evidence = judge_for(window, NULL, NULL);
    ck_assert_int_eq(evidence->stance, EVIDENCE_FOR);
}
END_TEST

START_TEST(both_replies_speak_of_one_filesystem_in_one_record)
{
    g_autoptr(GuestWindow) window = guest_window_new();

    take_freeze(window, "{'count': 1, 'filesystems': [{'mountpoint': '/', 'type': 'ext4',"
                        " 'device': '/dev/vda', 'device-number': '254:0', 'freeze-ms': 1.5}]}");
    take_thaw(window, "{'count': 1, 'filesystems': [{'mountpoint': '/', 'device-number': '254:0',"
                      " 'outcome': 'thawed', 'held-ms': 2000, 'canary': {'writes-before': 4,"
                      " 'writes-during': 0, 'writes-after': 2, 'longest-gap-ms': 2010.5}}]}");
    ck_assert_uint_eq(window->filesystems->len, 1);
    const WindowFilesystem *filesystem = guest_window_find(window, "/");
    ck_assert_double_eq(filesystem->freeze_ms, 1.5);
    ck_assert_double_eq(filesystem->held_ms, 2000);
    ck_assert_str_eq(filesystem->outcome, "thawed");
    ck_assert_double_eq(filesystem->canary->longest_gap_ms, 2010.5);
    ck_assert_ptr_null(filesystem->canary->error_text);
}
END_TEST

START_TEST(bind_mounts_count_once_and_vfat_not_at_all)
{
    g_autoptr(GuestFilesystems) filesystems = guest(two_filesystems);

    ck_assert_uint_eq(filesystems->filesystems->len, 3);
    ck_assert_uint_eq(guest_filesystems_count_freezable(filesystems), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence-claim");
    TCase *tcase = tcase_create("evidence-claim");

    tcase_add_test(tcase, a_window_without_a_fault_is_a_claim);
    tcase_add_test(tcase, a_guest_that_lists_no_filesystems_is_taken_at_its_word);
    tcase_add_test(tcase, an_agent_that_froze_nothing_speaks_against_itself);
    tcase_add_test(tcase, a_refused_freeze_is_shown_in_the_agents_words);
    tcase_add_test(tcase, a_status_other_than_frozen_during_the_hold_is_against);
    tcase_add_test(tcase, thawing_fewer_than_were_frozen_is_against);
    tcase_add_test(tcase, a_thaw_sent_again_makes_its_count_meaningless_not_damning);
    tcase_add_test(tcase, an_error_for_the_thaw_of_a_thawed_guest_is_against);
    tcase_add_test(tcase, a_broken_window_is_against_with_the_agents_reason);
    tcase_add_test(tcase, a_window_without_status_or_thaw_is_no_claim);
    tcase_add_test(tcase, freezing_fewer_than_the_guest_has_is_no_claim);
    tcase_add_test(tcase, what_was_left_out_for_a_reason_is_not_missed);
    tcase_add_test(tcase, what_was_left_out_without_a_reason_is_named);
    tcase_add_test(tcase, a_named_mount_point_that_was_not_frozen_is_missed);
    tcase_add_loop_test(tcase, a_reply_that_is_no_count_claims_nothing, 0, G_N_ELEMENTS(nonsense));
    tcase_add_loop_test(tcase, odd_elements_in_a_reply_are_survived, 0, G_N_ELEMENTS(odd_lists));
    tcase_add_test(tcase, both_replies_speak_of_one_filesystem_in_one_record);
    tcase_add_test(tcase, bind_mounts_count_once_and_vfat_not_at_all);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
