/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/block-counters.h"
#include "prober/evidence-counters.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* One letter per sample and device: '.' stood still, 'w' wrote since the last sample. */
typedef struct {
    const char *before;
    const char *freezing;
    const char *hold;
    const char *after;
} Story;

#define BUSY "wwwwwwwwww"
#define IDLE ".........."

static const Story frozen = {BUSY, "w", "....................", BUSY};
static const Story running = {BUSY, "w", "wwwwwwwwwwwwwwwwwwww", BUSY};
static const Story one_late_write = {BUSY, "w", "...................w", BUSY};
static const Story idle = {IDLE, ".", "....................", IDLE};
static const Story seldom = {".w........", ".", "....................", IDLE};
static const Story only_flush = {IDLE, "w", "....................", IDLE};
static const Story burst_before = {BUSY, "w", "....................", IDLE};
static const Story burst_after = {IDLE, "w", "....................", BUSY};
static const Story short_hold = {BUSY, "w", ".", BUSY};

static void add_samples(CounterWatch *watch, CounterPhase phase, const Story *const *stories,
                        const size_t story_part, uint64_t *writes)
{
    const char *first = *(const char *const *)((const char *)stories[0] + story_part);

    for (size_t i = 0; i < strlen(first); i++) {
        g_autoptr(GArray) sample = counter_sample_new();
        for (unsigned device = 0; stories[device]; device++) {
            const char *part = *(const char *const *)((const char *)stories[device] + story_part);
            g_autofree char *name = g_strdup_printf("disk%u", device);
            writes[device] += part[i] == 'w' ? 3 : 0;
            counter_sample_add(sample, name, writes[device], writes[device] * 4096);
        }
        counter_watch_add(watch, phase, sample);
    }
}

static CounterWatch *tell(const Story *const *stories)
{
    static const Story start = {".", ".", ".", "."};
    CounterWatch *watch = counter_watch_new();
    const Story *starts[8] = {NULL};
    uint64_t writes[8] = {100, 200, 300, 400, 500, 600, 700, 800};

    for (unsigned i = 0; stories[i]; i++)
        starts[i] = &start;
    add_samples(watch, COUNTER_PHASE_BEFORE, starts, offsetof(Story, before), writes);
    add_samples(watch, COUNTER_PHASE_BEFORE, stories, offsetof(Story, before), writes);
    add_samples(watch, COUNTER_PHASE_FREEZING, stories, offsetof(Story, freezing), writes);
    add_samples(watch, COUNTER_PHASE_HOLD, stories, offsetof(Story, hold), writes);
    add_samples(watch, COUNTER_PHASE_AFTER, stories, offsetof(Story, after), writes);
    return watch;
}

static Evidence *judge_stories(const FreezeCoverage *coverage, const Story *const *stories)
{
    g_autoptr(CounterWatch) watch = tell(stories);
    CounterFindings findings = {.watch = watch};

    return evidence_counters_judge(&findings, coverage);
}

#define JUDGE(coverage, ...) judge_stories(coverage, (const Story *const[]){__VA_ARGS__, NULL})

/* Guests of one to three disks; what their guest-get-fsinfo and the agent's replies amount to. */
static const FreezeCoverage all_addresses_unknown = {.everything = true};
static const FreezeCoverage part_addresses_unknown = {.everything = false};
static const FreezeCoverage one_disk = {
    .everything = true, .disks_touched = 1, .disks_all_ours = 1};
static const FreezeCoverage two_disks = {
    .everything = true, .disks_touched = 2, .disks_all_ours = 2};
/* One disk that holds a frozen filesystem beside one that cannot be frozen. */
static const FreezeCoverage shared_disk = {.disks_touched = 1, .disks_all_ours = 0};

static void assert_stance(Evidence *evidence, EvidenceStance stance, const char *mention)
{
    g_autoptr(Evidence) owned = evidence;

    ck_assert_msg(owned->stance == stance, "%s: %s", evidence_stance_name(owned->stance),
                  owned->summary);
    ck_assert_msg(strstr(owned->summary, mention) != NULL, "%s", owned->summary);
}

START_TEST(a_busy_device_that_stands_still_for_the_hold_is_for)
{
    assert_stance(JUDGE(&one_disk, &frozen), EVIDENCE_FOR, "disk0 stood still");
    assert_stance(JUDGE(&all_addresses_unknown, &frozen), EVIDENCE_FOR, "all 20 samples");
    assert_stance(JUDGE(&two_disks, &frozen, &idle), EVIDENCE_FOR, "disk0");
    assert_stance(JUDGE(&shared_disk, &frozen), EVIDENCE_FOR, "disk0");
}
END_TEST

START_TEST(a_burst_on_one_side_of_the_hold_proves_no_pause)
{
    assert_stance(JUDGE(&one_disk, &burst_before), EVIDENCE_SILENT, "too little before and after");
    assert_stance(JUDGE(&one_disk, &burst_after), EVIDENCE_SILENT, "too little before and after");
}
END_TEST

START_TEST(a_single_write_during_the_hold_is_against_with_device_and_numbers)
{
    assert_stance(JUDGE(&one_disk, &one_late_write), EVIDENCE_AGAINST,
                  "disk0 (3 writes, 12288 bytes, in 1 of 20 samples)");
    assert_stance(JUDGE(&two_disks, &frozen, &one_late_write), EVIDENCE_AGAINST, "disk1");
    assert_stance(JUDGE(&all_addresses_unknown, &running), EVIDENCE_AGAINST, "60 writes");
}
END_TEST

START_TEST(a_device_that_may_carry_something_else_does_not_count_against)
{
    assert_stance(JUDGE(&one_disk, &frozen, &running), EVIDENCE_SILENT, "disk1");
    assert_stance(JUDGE(&shared_disk, &running), EVIDENCE_SILENT, "disk0");
    assert_stance(JUDGE(&part_addresses_unknown, &running), EVIDENCE_SILENT, "disk0");
}
END_TEST

START_TEST(more_writing_devices_than_can_be_explained_are_against)
{
    assert_stance(JUDGE(&one_disk, &running, &running), EVIDENCE_AGAINST, "disk0");
    assert_stance(JUDGE(&two_disks, &running, &frozen, &running), EVIDENCE_AGAINST, "disk2");
}
END_TEST

START_TEST(a_still_device_that_may_carry_nothing_frozen_is_not_for)
{
    assert_stance(JUDGE(&one_disk, &frozen, &idle), EVIDENCE_SILENT, "disk0");
    assert_stance(JUDGE(&part_addresses_unknown, &frozen), EVIDENCE_SILENT, "disk0");
    assert_stance(JUDGE(&one_disk, &frozen, &frozen), EVIDENCE_FOR, "disk0, disk1");
}
END_TEST

START_TEST(a_guest_that_never_writes_proves_nothing)
{
    assert_stance(JUDGE(&one_disk, &idle), EVIDENCE_SILENT, "no device wrote before");
}
END_TEST

START_TEST(the_flush_of_the_freeze_itself_proves_nothing)
{
    assert_stance(JUDGE(&one_disk, &only_flush), EVIDENCE_SILENT, "no device wrote");
}
END_TEST

START_TEST(a_guest_that_writes_seldom_may_have_paused_by_chance)
{
    assert_stance(JUDGE(&one_disk, &seldom), EVIDENCE_SILENT, "too little");
}
END_TEST

START_TEST(one_sample_is_no_hold)
{
    assert_stance(JUDGE(&one_disk, &short_hold), EVIDENCE_SILENT, "too few");
}
END_TEST

START_TEST(counters_lost_on_the_way_are_silent_unless_they_spoke_against)
{
    const Story *const still[] = {&frozen, NULL};
    const Story *const moving[] = {&running, NULL};
    g_autoptr(CounterWatch) still_watch = tell(still);
    g_autoptr(CounterWatch) moving_watch = tell(moving);
    CounterFindings findings = {.watch = still_watch, .lost = "QEMU closed the connection"};

    assert_stance(evidence_counters_judge(&findings, &one_disk), EVIDENCE_SILENT, "QEMU closed");
    findings.watch = moving_watch;
    assert_stance(evidence_counters_judge(&findings, &one_disk), EVIDENCE_AGAINST, "disk0");
}
END_TEST

START_TEST(without_counters_the_remedy_is_named)
{
    CounterFindings findings = {.unavailable = "no QMP socket given", .remedy = "add --qmp PATH"};
    g_autoptr(Evidence) evidence = evidence_counters_judge(&findings, &one_disk);

    ck_assert_int_eq(evidence->stance, EVIDENCE_SILENT);
    ck_assert_str_eq(evidence->summary, "no QMP socket given");
    ck_assert_str_eq(evidence->remedy, "add --qmp PATH");
}
END_TEST

START_TEST(counters_that_run_backwards_are_a_write)
{
    g_autoptr(CounterWatch) watch = counter_watch_new();
    g_autoptr(GArray) high = counter_sample_new();
    g_autoptr(GArray) low = counter_sample_new();

    counter_sample_add(high, "disk0", 100, 4096);
    counter_sample_add(low, "disk0", 5, 4096);
    counter_watch_add(watch, COUNTER_PHASE_BEFORE, high);
    counter_watch_add(watch, COUNTER_PHASE_HOLD, low);
    const DeviceActivity *device = g_ptr_array_index(watch->devices, 0);
    ck_assert_uint_eq(device->phases[COUNTER_PHASE_HOLD].moved, 1);
    ck_assert_uint_eq(device->phases[COUNTER_PHASE_HOLD].writes, 1);
}
END_TEST

START_TEST(only_writable_devices_of_the_monitor_are_watched)
{
    json_object *block = json_tokener_parse(
        "[{'device': 'vda', 'inserted': {'ro': false}}, {'device': 'cd0'},"
        " {'device': '', 'qdev': '/machine/peripheral/iso', 'inserted': {'ro': true}}]");
    json_object *stats = json_tokener_parse(
        "[{'device': 'vda', 'stats': {'wr_operations': 7, 'wr_bytes': 4096}},"
        " {'device': 'cd0', 'stats': {'wr_operations': 0, 'wr_bytes': 0}},"
        " {'device': '', 'qdev': '/machine/peripheral/iso',"
        "  'stats': {'wr_operations': 0, 'wr_bytes': 0}},"
        " {'qdev': '/machine/peripheral/data', 'stats': {'wr_operations': 1, 'wr_bytes': 2}},"
        " {'device': 'odd', 'stats': 3}, null, {'stats': {'wr_operations': 1, 'wr_bytes': 2}}]");
    g_autoptr(GHashTable) unwritable = block_counters_find_unwritable(block);
    g_autoptr(GArray) sample = block_counters_read(stats, unwritable);

    ck_assert_uint_eq(sample->len, 2);
    ck_assert_str_eq(g_array_index(sample, DeviceCounters, 0).name, "vda");
    ck_assert_uint_eq(g_array_index(sample, DeviceCounters, 0).writes, 7);
    ck_assert_str_eq(g_array_index(sample, DeviceCounters, 1).name, "/machine/peripheral/data");
    json_object_put(block);
    json_object_put(stats);
}
END_TEST

static FreezeCoverage *coverage_of(const char *fsinfo, const char *freeze, const char *requested)
{
    json_object *list = json_tokener_parse(fsinfo);
    json_object *reply = json_tokener_parse(freeze);
    g_autoptr(GuestFilesystems) guest = guest_filesystems_new(list);
    g_autoptr(GuestWindow) window = guest_window_new();
    const char *const mount_points[] = {requested, NULL};

    guest_window_take_freeze(window, reply);
    json_object_put(list);
    json_object_put(reply);
    return freeze_coverage_new(guest, window, requested ? mount_points : NULL);
}

#define DISK(slot) \
    "'disk': [{'pci-controller': {'domain': 0, 'bus': 0, 'slot': " slot ", 'function': 0}," \
    " 'bus-type': 'virtio', 'bus': 0, 'target': 0, 'unit': 0}]}"
#define ROOT "{'name': 'vda1', 'mountpoint': '/', 'type': 'ext4', " DISK("3")
#define EFI "{'name': 'vda2', 'mountpoint': '/boot/efi', 'type': 'vfat', " DISK("3")
#define BOOT "{'name': 'vda3', 'mountpoint': '/boot', 'type': 'ext4', " DISK("3")
#define SRV "{'name': 'vdb', 'mountpoint': '/srv', 'type': 'xfs', " DISK("4")
#define LOST \
    "{'name': 'dm-0', 'mountpoint': '/lost', 'type': 'xfs', 'disk': [{'pci-controller':" \
    " {'domain': -1, 'bus': -1, 'slot': -1, 'function': -1}}]}"

static const struct {
    const char *fsinfo;
    const char *freeze;
    const char *requested;
    unsigned touched, ours;
    bool everything;
} coverages[] = {
    {"[" ROOT "," SRV "]", "2", NULL, 2, 2, true},
    {"[" ROOT "," BOOT "," SRV "]", "3", NULL, 2, 2, true},
    {"[" ROOT "," EFI "," SRV "]", "2", NULL, 2, 1, false},
    {"[" ROOT "," SRV "]", "1", NULL, 0, 0, false},
    {"[" ROOT "," SRV "]", "1", "/srv", 1, 1, false},
    {"[" ROOT "," LOST "]", "2", NULL, 1, 1, true},
    {"[" ROOT "," SRV "]", "{'count': 1, 'filesystems': [{'mountpoint': '/'}]}", NULL, 1, 1, false},
    {"[" ROOT "," BOOT "]",
     "{'count': 1, 'filesystems': [{'mountpoint': '/'}],"
     " 'skipped': [{'mountpoint': '/boot', 'reason': 'mounted read-only'}]}",
     NULL, 1, 1, true},
    {"[" ROOT "," BOOT "]",
     "{'count': 1, 'filesystems': [{'mountpoint': '/'}],"
     " 'skipped': [{'mountpoint': '/boot', 'reason': 'excluded by configuration'}]}",
     NULL, 1, 0, false},
};

START_TEST(disks_are_told_apart_by_what_lies_on_them)
{
    g_autoptr(FreezeCoverage) coverage =
        coverage_of(coverages[_i].fsinfo, coverages[_i].freeze, coverages[_i].requested);

    ck_assert_uint_eq(coverage->disks_touched, coverages[_i].touched);
    ck_assert_uint_eq(coverage->disks_all_ours, coverages[_i].ours);
    ck_assert_int_eq(coverage->everything, coverages[_i].everything);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence-counters");
    TCase *tcase = tcase_create("evidence-counters");

    tcase_add_test(tcase, a_busy_device_that_stands_still_for_the_hold_is_for);
    tcase_add_test(tcase, a_burst_on_one_side_of_the_hold_proves_no_pause);
    tcase_add_test(tcase, a_single_write_during_the_hold_is_against_with_device_and_numbers);
    tcase_add_test(tcase, a_device_that_may_carry_something_else_does_not_count_against);
    tcase_add_test(tcase, more_writing_devices_than_can_be_explained_are_against);
    tcase_add_test(tcase, a_still_device_that_may_carry_nothing_frozen_is_not_for);
    tcase_add_test(tcase, a_guest_that_never_writes_proves_nothing);
    tcase_add_test(tcase, the_flush_of_the_freeze_itself_proves_nothing);
    tcase_add_test(tcase, a_guest_that_writes_seldom_may_have_paused_by_chance);
    tcase_add_test(tcase, one_sample_is_no_hold);
    tcase_add_test(tcase, counters_lost_on_the_way_are_silent_unless_they_spoke_against);
    tcase_add_test(tcase, without_counters_the_remedy_is_named);
    tcase_add_test(tcase, counters_that_run_backwards_are_a_write);
    tcase_add_test(tcase, only_writable_devices_of_the_monitor_are_watched);
    tcase_add_loop_test(tcase, disks_are_told_apart_by_what_lies_on_them, 0,
                        G_N_ELEMENTS(coverages));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
