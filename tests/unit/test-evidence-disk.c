/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence-disk.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- states ---- */

static void state_free(FilesystemState *state)
{
    g_free(state->volume);
    g_free(state->fs_type);
    g_free(state->uuid);
    g_free(state->because);
    g_free(state->remedy);
    g_free(state);
}

/* "vda ext4 q uuid-a": volume, type ('-': unknown), state (q quiet, i in use, ? unknown, u cleanly
 * unmounted, l quiet but idle-alike), UUID; ':7' behind the state: generation 7. */
static FilesystemState *state_from(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    FilesystemState *state = g_new0(FilesystemState, 1);

    state->volume = g_strdup(words[0]);
    state->fs_type = strcmp(words[1], "-") == 0 ? NULL : g_strdup(words[1]);
    state->state = words[2][0] == 'i'   ? DISK_STATE_IN_USE
                   : words[2][0] == '?' ? DISK_STATE_UNKNOWN
                                        : DISK_STATE_QUIET;
    state->unmounted = words[2][0] == 'u';
    state->idle_alike = words[2][0] == 'l';
    if (words[2][1] == ':')
        state->generation = g_ascii_strtoull(words[2] + 2, NULL, 10);
    state->uuid = g_strdup(words[3]);
    state->because = g_strdup_printf("because of %s", words[0]);
    if (state->state == DISK_STATE_UNKNOWN)
        state->remedy = g_strdup("a remedy");
    return state;
}

/* Lines as above, with "; " between them. */
static GPtrArray *states_from(const char *text)
{
    GPtrArray *states = g_ptr_array_new_with_free_func((GDestroyNotify)state_free);
    g_auto(GStrv) lines = g_strsplit(text, "; ", -1);

    for (char **line = lines; *line && **line; line++)
        g_ptr_array_add(states, state_from(*line));
    return states;
}

/* ---- an image ---- */

static Evidence *image(const char *text)
{
    g_autoptr(GPtrArray) states = states_from(text);

    return evidence_disk_judge_image(states);
}

static void assert_image(const char *text, EvidenceStance stance, const char *mentions)
{
    g_autoptr(Evidence) evidence = image(text);

    ck_assert_msg(evidence->stance == stance, "%s: %s", text, evidence->summary);
    ck_assert_msg(strstr(evidence->summary, mentions), "%s: %s", text, evidence->summary);
    ck_assert_int_eq(evidence->source, EVIDENCE_DISK);
}

START_TEST(an_image_whose_filesystems_are_all_quiet_was_frozen_or_unmounted)
{
    assert_image("vda ext4 q a; vdb xfs q b", EVIDENCE_FOR, "a freeze or a clean unmount");
    assert_image("vda ext4 q a; vdb xfs u b", EVIDENCE_FOR, "a freeze or a clean unmount");
    assert_image("vda ext4 u a; vdb xfs u b", EVIDENCE_FOR, "as a clean unmount leaves it");
}
END_TEST

START_TEST(one_filesystem_in_use_is_enough_against_an_image)
{
    assert_image("vda ext4 q a; vdb xfs i b; vdc - ? c", EVIDENCE_AGAINST,
                 "vdb (xfs): because of vdb");
}
END_TEST

START_TEST(what_cannot_be_read_keeps_an_image_unproven_and_brings_its_remedy)
{
    g_autoptr(Evidence) evidence = image("vda ext4 q a; vdb crypto_LUKS ? b");

    ck_assert_int_eq(evidence->stance, EVIDENCE_SILENT);
    ck_assert_str_eq(evidence->remedy, "a remedy");
    assert_image("vda - ? a", EVIDENCE_SILENT, "because of vda");
    assert_image("vda f2fs ? a", EVIDENCE_SILENT, "because of vda");
    assert_image("", EVIDENCE_SILENT, "no filesystem");
}
END_TEST

START_TEST(what_no_freeze_ever_covers_does_not_count)
{
    assert_image("vda1 vfat ? a; vda2 ext4 q b; sr0 iso9660 ? c", EVIDENCE_FOR, "vda2 (ext4)");
    assert_image("vda1 vfat ? a", EVIDENCE_SILENT, "no filesystem");
}
END_TEST

START_TEST(of_an_image_that_may_come_from_an_idle_guest_it_says_so)
{
    assert_image("vda ext4 q a; vdb btrfs l b", EVIDENCE_FOR, "merely idle: vdb (btrfs)");
}
END_TEST

/* ---- a running guest ---- */

typedef struct {
    const char *before;
    const char *hold;
    const char *claimed; /* "uuid-a /srv/a /dev/vda; ..." */
    const char *lost;
} Story;

static GuestWindow *window_from(const char *claimed)
{
    GuestWindow *window = guest_window_new();
    g_auto(GStrv) lines = g_strsplit(claimed, "; ", -1);

    window->detailed = true;
    for (char **line = lines; *line && **line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 3);
        WindowFilesystem *filesystem = g_new0(WindowFilesystem, 1);
        filesystem->uuid = strcmp(words[0], "-") == 0 ? NULL : g_strdup(words[0]);
        filesystem->mount_point = g_strdup(words[1]);
        filesystem->device = g_strdup(words[2]);
        g_ptr_array_add(window->filesystems, filesystem);
        window->frozen_count++;
    }
    return window;
}

/* Readings are separated by " / ". */
static void add_readings(DiskHistory *history, DiskPhase phase, const char *text)
{
    g_auto(GStrv) readings = g_strsplit(text, " / ", -1);

    for (char **reading = readings; *reading && **reading; reading++) {
        g_autoptr(GPtrArray) states = states_from(*reading);
        disk_history_add(history, phase, states);
    }
}

static Evidence *judge(const Story *story)
{
    g_autoptr(DiskHistory) history = disk_history_new();
    g_autoptr(GuestWindow) window = window_from(story->claimed);
    FreezeCoverage coverage = {.everything = true};
    const DiskFindings findings = {.history = history, .lost = story->lost};
    const DiskClaim claim = {.window = window, .coverage = &coverage};

    add_readings(history, DISK_PHASE_BEFORE, story->before);
    add_readings(history, DISK_PHASE_HOLD, story->hold);
    return evidence_disk_judge(&findings, &claim);
}

static void assert_story(const Story *story, EvidenceStance stance, const char *mentions)
{
    g_autoptr(Evidence) evidence = judge(story);

    ck_assert_msg(evidence->stance == stance, "%s", evidence->summary);
    ck_assert_msg(strstr(evidence->summary, mentions), "%s", evidence->summary);
}

#define TWO_CLAIMED "a /srv/a /dev/vda; b /srv/b /dev/vdb"

START_TEST(filesystems_that_went_quiet_by_the_freeze_are_for_it)
{
    const Story story = {"vda ext4 i a; vdb xfs i b", "vda ext4 q A; vdb xfs q B", TWO_CLAIMED};

    assert_story(&story, EVIDENCE_FOR, "vda (ext4), vdb (xfs)");
}
END_TEST

START_TEST(one_claimed_filesystem_in_use_at_any_time_of_the_hold_is_against_it)
{
    const Story unfrozen = {"vda ext4 i a; vdb xfs i b", "vda ext4 q a; vdb xfs i b", TWO_CLAIMED};
    const Story thawed = {"vda ext4 i a; vdb xfs i b",
                          "vda ext4 q a; vdb xfs q b / vda ext4 q a; vdb xfs i b", TWO_CLAIMED};
    const Story late = {"vda ext4 i a; vdb xfs i b",
                        "vda ext4 q a; vdb xfs i b / vda ext4 q a; vdb xfs q b", TWO_CLAIMED};
    const Story lost = {"vda ext4 i a; vdb xfs i b", "vda ext4 i a; vdb xfs i b", TWO_CLAIMED,
                        "gone"};

    assert_story(&unfrozen, EVIDENCE_AGAINST, "vdb (xfs): because of vdb");
    assert_story(&thawed, EVIDENCE_AGAINST, "vdb");
    assert_story(&late, EVIDENCE_AGAINST, "vdb");
    assert_story(&lost, EVIDENCE_AGAINST, "vda");
}
END_TEST

START_TEST(a_commit_between_two_readings_of_the_hold_is_against_a_freeze)
{
    const Story story = {"vda btrfs i:7 a", "vda btrfs q:8 a / vda btrfs q:9 a",
                         "a /srv/a /dev/vda"};
    const Story kept = {"vda btrfs i:7 a", "vda btrfs q:8 a / vda btrfs q:8 a",
                        "a /srv/a /dev/vda"};

    assert_story(&story, EVIDENCE_AGAINST, "generation 8, then 9");
    assert_story(&kept, EVIDENCE_FOR, "vda (btrfs)");
}
END_TEST

START_TEST(a_filesystem_that_the_guest_left_out_may_be_in_use)
{
    const Story story = {"vda ext4 i a; vdb xfs i b", "vda ext4 q a; vdb xfs i b",
                         "a /srv/a /dev/vda"};

    assert_story(&story, EVIDENCE_FOR, "vda (ext4)");
}
END_TEST

START_TEST(a_filesystem_that_was_quiet_before_proves_nothing)
{
    const Story story = {"vda ext4 i a; vdb xfs q b", "vda ext4 q a; vdb xfs q b", TWO_CLAIMED};
    const Story unread = {"", "vda ext4 q a; vdb xfs q b", TWO_CLAIMED};

    assert_story(&story, EVIDENCE_SILENT, "vdb (xfs): quiet in the hold, but before it, too");
    assert_story(&unread, EVIDENCE_SILENT, "before");
}
END_TEST

START_TEST(files_that_change_though_quiet_may_lag_so_the_disks_are_silent_and_the_remedy_is_told)
{
    g_autoptr(DiskHistory) history = disk_history_new();
    g_autoptr(GuestWindow) window = window_from("a /srv/a /dev/vda");
    FreezeCoverage coverage = {.everything = true};
    const DiskFindings findings = {.history = history, .remedy = "ask QEMU"};
    const DiskClaim claim = {.window = window, .coverage = &coverage};

    history->may_lag = true;
    add_readings(history, DISK_PHASE_BEFORE, "vda btrfs i a");
    for (uint64_t generation = 7; generation < 9; generation++) {
        g_autoptr(GPtrArray) states = states_from("vda btrfs q a");
        ((FilesystemState *)states->pdata[0])->generation = generation;
        disk_history_add(history, DISK_PHASE_HOLD, states);
    }
    g_autoptr(Evidence) evidence = evidence_disk_judge(&findings, &claim);

    ck_assert_int_eq(evidence->stance, EVIDENCE_SILENT);
    ck_assert_ptr_nonnull(strstr(evidence->summary, "changed during the hold"));
    ck_assert_str_eq(evidence->remedy, "ask QEMU");
}
END_TEST

START_TEST(one_reading_of_several_before_the_freeze_is_enough_to_see_it_in_use)
{
    const Story story = {"vda btrfs q a / vda btrfs i a / vda btrfs q a", "vda btrfs q a",
                         "a /srv/a /dev/vda"};

    assert_story(&story, EVIDENCE_FOR, "vda (btrfs)");
}
END_TEST

START_TEST(what_was_not_found_or_not_read_keeps_the_disks_silent)
{
    const Story unseen = {"vda ext4 i a", "vda ext4 q a", TWO_CLAIMED};
    const Story no_uuid = {"vda ext4 i a", "vda ext4 q a", "- /srv/a /dev/vda"};
    const Story unknown = {"vda ext4 i a; vdb xfs i b", "vda ext4 q a; vdb xfs ? b", TWO_CLAIMED};
    const Story lost = {"vda ext4 i a", "vda ext4 q a", "a /srv/a /dev/vda", "the cable"};
    const Story nothing = {"vda ext4 i a", "", "a /srv/a /dev/vda"};

    assert_story(&unseen, EVIDENCE_SILENT, "/srv/b");
    assert_story(&no_uuid, EVIDENCE_SILENT, "/srv/a");
    assert_story(&unknown, EVIDENCE_SILENT, "because of vdb");
    assert_story(&lost, EVIDENCE_SILENT, "the cable");
    assert_story(&nothing, EVIDENCE_SILENT, "not read during the hold");
}
END_TEST

START_TEST(a_filesystem_in_a_file_of_another_is_told_of_and_no_doubt)
{
    const Story story = {"vda ext4 i a", "vda ext4 q a", "a /srv/a /dev/vda; n /srv/n /dev/loop0"};
    const Story alone = {"vda ext4 i a", "vda ext4 i a", "n /srv/n /dev/loop0"};

    assert_story(&story, EVIDENCE_FOR, "/srv/n lies in another");
    assert_story(&alone, EVIDENCE_SILENT, "none of the filesystems");
}
END_TEST

START_TEST(copies_with_the_same_uuid_are_never_judged)
{
    const Story story = {"vda ext4 i a; vdb ext4 i a", "vda ext4 q a; vdb ext4 i a",
                         "a /srv/a /dev/vda"};

    assert_story(&story, EVIDENCE_SILENT, "same UUID");
}
END_TEST

START_TEST(without_disks_the_reason_and_the_remedy_are_passed_on)
{
    const DiskFindings findings = {.unavailable = "no QMP", .remedy = "add it"};
    g_autoptr(GuestWindow) window = guest_window_new();
    const DiskClaim claim = {.window = window};
    g_autoptr(Evidence) evidence = evidence_disk_judge(&findings, &claim);

    ck_assert_int_eq(evidence->stance, EVIDENCE_SILENT);
    ck_assert_str_eq(evidence->summary, "no QMP");
    ck_assert_str_eq(evidence->remedy, "add it");
}
END_TEST

/* ---- an agent that tells no UUIDs ---- */

static GuestFilesystems *guest_from(const char *json)
{
    json_object *reply = json_tokener_parse(json);
    GuestFilesystems *guest = guest_filesystems_new(reply);

    json_object_put(reply);
    return guest;
}

#define FS(mount, type, name) \
    "{\"mountpoint\": \"" mount "\", \"type\": \"" type "\", \"name\": \"" name "\"}"

static void assert_counted(const char *guest_json, int64_t count, const char *before,
                           const char *hold, EvidenceStance stance, const char *mentions)
{
    g_autoptr(GuestFilesystems) guest = guest_json ? guest_from(guest_json) : NULL;
    g_autoptr(GuestWindow) window = guest_window_new();
    g_autoptr(DiskHistory) history = disk_history_new();

    window->freeze_replied = true;
    window->frozen_count = count;
    g_autoptr(FreezeCoverage) coverage = freeze_coverage_new(guest, window, NULL);
    const DiskFindings findings = {.history = history};
    const DiskClaim claim = {.window = window, .guest = guest, .coverage = coverage};
    add_readings(history, DISK_PHASE_BEFORE, before);
    add_readings(history, DISK_PHASE_HOLD, hold);
    g_autoptr(Evidence) evidence = evidence_disk_judge(&findings, &claim);
    ck_assert_msg(evidence->stance == stance, "%s", evidence->summary);
    ck_assert_msg(strstr(evidence->summary, mentions), "%s", evidence->summary);
}

static const char two_disks[] = "[" FS("/", "ext4", "vda1") ", " FS("/srv", "xfs", "vdb") ", " FS(
    "/boot/efi", "vfat", "vda2") "]";
static const char with_nested[] = "[" FS("/", "ext4", "vda1") ", " FS("/n", "ext4", "loop0") "]";

START_TEST(without_uuids_as_many_as_are_claimed_must_have_gone_quiet)
{
    assert_counted(two_disks, 2, "0p1 ext4 i a; 1 xfs i b", "0p1 ext4 q a; 1 xfs q b", EVIDENCE_FOR,
                   "0p1 (ext4)");
    assert_counted(two_disks, 2, "0p1 ext4 i a; 1 xfs i b", "0p1 ext4 q a; 1 xfs i b",
                   EVIDENCE_AGAINST, "because of 1");
    assert_counted(two_disks, 2, "0p1 ext4 i a; 1 xfs q b", "0p1 ext4 q a; 1 xfs q b",
                   EVIDENCE_SILENT, "1 (xfs)");
    assert_counted(two_disks, 2, "0p1 ext4 i a", "0p1 ext4 q a", EVIDENCE_SILENT, "xfs");
    assert_counted(two_disks, 2, "0p1 ext3 i a; 1 xfs i b", "0p1 ext3 q a; 1 xfs q b", EVIDENCE_FOR,
                   "ext3");
}
END_TEST

START_TEST(without_uuids_one_more_on_the_disks_may_be_in_use)
{
    assert_counted(two_disks, 2, "0p1 ext4 i a; 0p3 ext4 i c; 1 xfs i b",
                   "0p1 ext4 q a; 0p3 ext4 i c; 1 xfs q b", EVIDENCE_FOR, "ext4");
    assert_counted(two_disks, 2, "0p1 ext4 q a; 0p3 ext4 i c; 1 xfs i b",
                   "0p1 ext4 q a; 0p3 ext4 i c; 1 xfs q b", EVIDENCE_SILENT, "before");
    assert_counted(two_disks, 2, "0p1 ext4 i a; 0p3 ext4 i c; 1 xfs i b",
                   "0p1 ext4 i a; 0p3 ext4 i c; 1 xfs q b", EVIDENCE_AGAINST, "ext4");
}
END_TEST

START_TEST(without_uuids_nothing_is_known_where_the_agent_froze_less_than_there_is)
{
    assert_counted(two_disks, 1, "0p1 ext4 i a; 1 xfs i b", "0p1 ext4 q a; 1 xfs i b",
                   EVIDENCE_SILENT, "");
    assert_counted(NULL, 2, "0p1 ext4 i a", "0p1 ext4 i a", EVIDENCE_SILENT, "does not tell");
}
END_TEST

START_TEST(without_uuids_a_filesystem_without_a_disk_is_not_looked_for)
{
    assert_counted(with_nested, 2, "0p1 ext4 i a", "0p1 ext4 q a", EVIDENCE_FOR, "/n");
    assert_counted(with_nested, 2, "0p1 ext4 i a", "0p1 ext4 i a", EVIDENCE_AGAINST, "0p1");
}
END_TEST

/* ---- a snapshot ---- */

static void assert_snapshot(const char *taken, const char *claimed, const char *guest_json,
                            EvidenceStance stance, const char *mentions)
{
    g_autoptr(GPtrArray) states = states_from(taken);
    g_autoptr(GuestFilesystems) guest = guest_json ? guest_from(guest_json) : NULL;
    g_autoptr(GuestWindow) window = claimed ? window_from(claimed) : guest_window_new();

    window->freeze_replied = true;
    if (!claimed)
        window->frozen_count = 2;
    g_autoptr(FreezeCoverage) coverage = freeze_coverage_new(guest, window, NULL);
    const DiskClaim claim = {.window = window, .guest = guest, .coverage = coverage};
    g_autoptr(Evidence) evidence = evidence_disk_judge_snapshot(states, &claim);
    ck_assert_msg(evidence->stance == stance, "%s: %s", taken, evidence->summary);
    ck_assert_msg(strstr(evidence->summary, mentions), "%s: %s", taken, evidence->summary);
}

START_TEST(a_snapshot_with_all_that_was_claimed_quiet_is_for_the_freeze)
{
    assert_snapshot("vda ext4 q A; vdb xfs l b", TWO_CLAIMED, NULL, EVIDENCE_FOR, "vda (ext4)");
    assert_snapshot("0p1 ext4 q a; 1 xfs l b", NULL, two_disks, EVIDENCE_FOR, "0p1 (ext4)");
    assert_snapshot("vda ext4 q a; vdb xfs i b", TWO_CLAIMED, NULL, EVIDENCE_AGAINST, "vdb");
}
END_TEST

START_TEST(a_snapshot_of_an_idle_guest_does_not_make_a_liars_claim_true)
{
    assert_snapshot("vda btrfs l a; vdb xfs l b", TWO_CLAIMED, NULL, EVIDENCE_SILENT, "idle");
    assert_snapshot("vda xfs u a; vdb xfs l b", TWO_CLAIMED, NULL, EVIDENCE_SILENT, "idle");
    assert_snapshot("0p1 xfs l a", NULL, "[" FS("/", "xfs", "vda1") "]", EVIDENCE_SILENT, "idle");
}
END_TEST

START_TEST(an_old_clean_filesystem_in_a_snapshot_proves_nothing_about_the_guest)
{
    assert_snapshot("vda xfs l a; vdb xfs l b; vdc ext4 q c", TWO_CLAIMED, NULL, EVIDENCE_SILENT,
                    "idle");
    assert_snapshot("0p1 xfs l a; 1 ext4 q c", NULL, "[" FS("/", "xfs", "vda1") "]",
                    EVIDENCE_SILENT, "idle");
    assert_snapshot("vdc ext4 q c", NULL, NULL, EVIDENCE_SILENT, "vdc");
}
END_TEST

START_TEST(a_snapshot_of_other_disks_than_the_frozen_ones_proves_nothing)
{
    assert_snapshot("vda ext4 q a", TWO_CLAIMED, NULL, EVIDENCE_SILENT, "/srv/b");
    assert_snapshot("vdc ext4 q c", "a / /dev/vda", NULL, EVIDENCE_SILENT, "not found");
    assert_snapshot("0p1 ext4 q a", NULL, two_disks, EVIDENCE_SILENT, "/srv");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence-disk");
    TCase *tcase = tcase_create("evidence-disk");

    tcase_add_test(tcase, an_image_whose_filesystems_are_all_quiet_was_frozen_or_unmounted);
    tcase_add_test(tcase, one_filesystem_in_use_is_enough_against_an_image);
    tcase_add_test(tcase, what_cannot_be_read_keeps_an_image_unproven_and_brings_its_remedy);
    tcase_add_test(tcase, what_no_freeze_ever_covers_does_not_count);
    tcase_add_test(tcase, filesystems_that_went_quiet_by_the_freeze_are_for_it);
    tcase_add_test(tcase, one_claimed_filesystem_in_use_at_any_time_of_the_hold_is_against_it);
    tcase_add_test(tcase, a_filesystem_that_the_guest_left_out_may_be_in_use);
    tcase_add_test(tcase, a_filesystem_that_was_quiet_before_proves_nothing);
    tcase_add_test(
        tcase,
        files_that_change_though_quiet_may_lag_so_the_disks_are_silent_and_the_remedy_is_told);
    tcase_add_test(tcase, one_reading_of_several_before_the_freeze_is_enough_to_see_it_in_use);
    tcase_add_test(tcase, what_was_not_found_or_not_read_keeps_the_disks_silent);
    tcase_add_test(tcase, a_filesystem_in_a_file_of_another_is_told_of_and_no_doubt);
    tcase_add_test(tcase, copies_with_the_same_uuid_are_never_judged);
    tcase_add_test(tcase, without_disks_the_reason_and_the_remedy_are_passed_on);
    tcase_add_test(tcase, without_uuids_as_many_as_are_claimed_must_have_gone_quiet);
    tcase_add_test(tcase, without_uuids_one_more_on_the_disks_may_be_in_use);
    tcase_add_test(tcase, without_uuids_nothing_is_known_where_the_agent_froze_less_than_there_is);
    tcase_add_test(tcase, without_uuids_a_filesystem_without_a_disk_is_not_looked_for);
    tcase_add_test(tcase, a_commit_between_two_readings_of_the_hold_is_against_a_freeze);
    tcase_add_test(tcase, of_an_image_that_may_come_from_an_idle_guest_it_says_so);
    tcase_add_test(tcase, a_snapshot_with_all_that_was_claimed_quiet_is_for_the_freeze);
    tcase_add_test(tcase, a_snapshot_of_an_idle_guest_does_not_make_a_liars_claim_true);
    tcase_add_test(tcase, an_old_clean_filesystem_in_a_snapshot_proves_nothing_about_the_guest);
    tcase_add_test(tcase, a_snapshot_of_other_disks_than_the_frozen_ones_proves_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
