/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/snapshot.h"
#include "prober/evidence-canary.h"
#include "prober/evidence-claim.h"
#include "prober/evidence-counters.h"
#include "prober/evidence-disk.h"
#include "prober/guest-freeze.h"
#include "prober/inspect.h"
#include "prober/probe-error.h"
#include "prober/verb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How much longer than QEMU may take the guest may stay frozen if this program is killed. */
#define HOLD_TIMEOUT_EXTRA_MS (30 * 1000)

typedef struct {
    const Options *options;
    Interrupt *interrupt;
    Progress *progress;
    SnapshotReport *report;
    AgentLink *link;
    SnapshotTaker *taker; /* NULL: not connected */
    CounterWatch *counters;
    GuestFilesystems *guest; /* NULL: the guest does not tell */
    int64_t frozen_at_us;
} Snapshot;

/* ---- before the freeze ---- */

static bool look_at_agent(Snapshot *snapshot, GError **error)
{
    snapshot->report->profile = agent_profile_read(snapshot->link, error);
    if (!snapshot->report->profile)
        return false;

    g_autofree char *state = guest_freeze_status(snapshot->link, snapshot->report->profile, error);
    if (!state)
        return false;
    if (strcmp(state, "thawed") == 0)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                "the guest is %s already, by somebody else's doing, and would be thawed for them; "
                "wait for its end, or run 'quiesce-probe thaw'",
                state);
    return false;
}

static bool look_at_filesystems(Snapshot *snapshot, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!agent_profile_offers(snapshot->report->profile, "guest-get-fsinfo"))
        return true;
    json_object *reply = agent_link_call(snapshot->link, "guest-get-fsinfo", NULL, &problem);
    if (!problem && json_object_is_type(reply, json_type_array))
        snapshot->guest = guest_filesystems_new(reply);
    json_object_put(reply);
    if (!problem || agent_link_is_answer(problem))
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static char *find_folder(const char *folder, GError **error)
{
    char *path = realpath(folder, NULL);

    if (!path) {
        int cause = errno;
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot make images in %s: %s", folder,
                    g_strerror(cause));
    }
    return path;
}

static bool look_at_disks(Snapshot *snapshot, GError **error)
{
    const Options *options = snapshot->options;
    char *folder = find_folder(options->to_folder, error);

    if (!folder)
        return false;
    snapshot->taker = target_snapshots(options->target, options->timeout_ms,
                                       interrupt_fd(snapshot->interrupt), error);
    if (snapshot->taker)
        snapshot->report->disks = snapshot_taker_plan(snapshot->taker, folder, error);
    bool ready = snapshot->report->disks &&
                 snapshot_disks_check_folder(snapshot->report->disks, folder, error);
    snapshot->counters = counter_watch_new();
    free(folder);
    return ready;
}

static bool check_options(const Options *options, GError **error)
{
    if (options->target->qmp_path || options->target->domain)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "no QMP socket given, through which the snapshot would be taken: add --qmp PATH");
    return false;
}

/* ---- the window ---- */

static bool sample(Snapshot *snapshot, CounterPhase phase, GError **error)
{
    g_autoptr(GArray) now = snapshot_taker_sample(snapshot->taker, error);

    if (now)
        counter_watch_add(snapshot->counters, phase, now);
    return now != NULL;
}

static bool freeze(Snapshot *snapshot, GError **error)
{
    const Options *options = snapshot->options;
    SnapshotReport *report = snapshot->report;
    FreezeRequest request = {
        .canary = !options->no_canary,
        .hold_timeout_ms = options->timeout_ms + HOLD_TIMEOUT_EXTRA_MS,
    };

    if (!guest_freeze_freeze(snapshot->link, report->profile, &request, options->freeze_ms,
                             report->window, error))
        return false;
    snapshot->frozen_at_us = g_get_monotonic_time();
    report->frozen = true;
    if (report->window->frozen_count > 0)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                "the guest froze nothing, so no snapshot was taken");
    return false;
}

/* No signal ends the transaction: then nobody would know whether it happened. */
static bool take(Snapshot *snapshot, GError **error)
{
    SnapshotReport *report = snapshot->report;

    if (interrupt_check(snapshot->interrupt, error))
        return false;
    snapshot_taker_set_interrupt_fd(snapshot->taker, -1);
    int64_t begin_us = g_get_monotonic_time();
    SnapshotOutcome outcome = snapshot_taker_take(snapshot->taker, report->disks, error);
    report->transaction_us = g_get_monotonic_time() - begin_us;
    report->taken = outcome == SNAPSHOT_TAKEN;
    report->unsure = outcome == SNAPSHOT_UNKNOWN;
    return report->taken;
}

static void ask_status(Snapshot *snapshot)
{
    GuestWindow *window = snapshot->report->window;
    g_autofree char *state = guest_freeze_status(snapshot->link, snapshot->report->profile, NULL);

    if (g_strcmp0(state, "frozen") == 0)
        window->frozen_answers++;
    else if (state)
        window->other_answer = g_steal_pointer(&state);
}

static void fail(SnapshotReport *report, const char *text)
{
    g_autofree char *before = report->failure;

    report->failure = before ? g_strdup_printf("%s; %s", before, text) : g_strdup(text);
}

/* Whatever happened before: this comes next. */
static void thaw(Snapshot *snapshot)
{
    SnapshotReport *report = snapshot->report;
    g_autoptr(GError) problem = NULL;

    if (snapshot->frozen_at_us > 0)
        report->window->hold_us = g_get_monotonic_time() - snapshot->frozen_at_us;
    if (guest_freeze_thaw(snapshot->link, report->profile, snapshot->options->thaw_ms,
                          report->window, &problem)) {
        if (report->failure)
            fail(report, "the guest is thawed");
        return;
    }
    report->unthawed = true;
    fail(report, problem->message);
}

static void clean_up(Snapshot *snapshot)
{
    SnapshotReport *report = snapshot->report;

    if (report->unsure) {
        fail(report, "the new images were left where they are, for the guest may run on them: see "
                     "QMP's query-block, or virsh domblklist");
        return;
    }
    unsigned left = snapshot_taker_clean_up(snapshot->taker, report->disks);
    fail(report, left == 0 ? "no snapshot was taken, and nothing was left behind"
                           : "no snapshot was taken, but new images were left behind");
}

static void run_window(Snapshot *snapshot)
{
    SnapshotReport *report = snapshot->report;
    g_autoptr(GError) problem = NULL;

    /* A monitor that is lost now must not be asked for the snapshot either. */
    if (sample(snapshot, COUNTER_PHASE_BEFORE, &problem) && freeze(snapshot, &problem) &&
        sample(snapshot, COUNTER_PHASE_FREEZING, &problem) && take(snapshot, &problem)) {
        agent_link_set_interrupt_fd(snapshot->link, -1);
        sample(snapshot, COUNTER_PHASE_HOLD, NULL);
        ask_status(snapshot);
    }
    if (!report->taken)
        fail(report, problem->message);
    thaw(snapshot);
    if (!report->taken)
        clean_up(snapshot);
}

/* ---- the judgement ---- */

static void collect_canaries(Snapshot *snapshot)
{
    const GuestWindow *window = snapshot->report->window;

    for (unsigned i = 0; i < window->filesystems->len; i++) {
        WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        CanaryRecord *record = g_steal_pointer(&filesystem->canary);
        if (!record) {
            record = canary_record_new(filesystem->mount_point);
            record->error_text = g_strdup("no writer ran here");
        }
        g_ptr_array_add(snapshot->report->canaries, record);
    }
}

static Evidence *judge_canaries(Snapshot *snapshot)
{
    const SnapshotReport *report = snapshot->report;
    CanaryFindings findings = {.records = report->canaries,
                               .hold_ms = (double)report->window->hold_us / 1000};

    if (snapshot->options->no_canary) {
        findings.unavailable = "switched off";
        findings.remedy = "leave out --no-canary";
    } else if (!agent_profile_offers(report->profile, "quiesce-freeze")) {
        findings.unavailable = "this hold is too short for writers from outside";
        findings.remedy = "install quiesced in the guest, which has its own";
    } else {
        collect_canaries(snapshot);
        findings.unavailable = "the agent reported nothing of its writers";
    }
    return evidence_canary_judge(&findings);
}

/* One interval that is as short as can be: writes in it are telling, their absence is not. */
static Evidence *judge_counters(const Snapshot *snapshot, const FreezeCoverage *coverage)
{
    CounterFindings findings = {.watch = snapshot->counters};
    g_autoptr(Evidence) evidence = evidence_counters_judge(&findings, coverage);

    if (evidence->stance != EVIDENCE_SILENT)
        return g_steal_pointer(&evidence);
    return evidence_new(EVIDENCE_COUNTERS, EVIDENCE_SILENT,
                        g_strdup_printf("no disk was seen to be written to, in a hold of %.1f ms",
                                        (double)snapshot->report->window->hold_us / 1000),
                        NULL);
}

/* Of all disks alike, else NULL: then each image's own magic tells. */
static const char *common_format(const GPtrArray *disks)
{
    const SnapshotDisk *first = g_ptr_array_index(disks, 0);

    for (unsigned i = 1; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (g_strcmp0(disk->format, first->format) != 0)
            return NULL;
    }
    return first->format;
}

static Evidence *silent_images(const char *why)
{
    return evidence_new(EVIDENCE_DISK, EVIDENCE_SILENT,
                        g_strdup_printf("what was taken cannot be read: %s", why),
                        "run quiesce-probe inspect where it can");
}

/* The guest goes on in other images: these change no more. */
static Evidence *inspect_images(Snapshot *snapshot, const FreezeCoverage *coverage)
{
    const GPtrArray *disks = snapshot->report->disks;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GPtrArray) addresses = g_ptr_array_new();

    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (!disk->image)
            return silent_images("a disk's image is not known");
        g_ptr_array_add(addresses, disk->image);
    }
    g_ptr_array_add(addresses, NULL);
    const InspectRequest request = {
        .addresses = (const char *const *)addresses->pdata,
        .format = common_format(disks),
        .timeout_ms = snapshot->options->timeout_ms,
        .interrupt_fd = interrupt_fd(snapshot->interrupt),
    };
    g_autoptr(InspectReport) report = inspect_run(&request, &problem);
    if (!report || interrupt_check(snapshot->interrupt, NULL))
        return silent_images(problem ? problem->message : "interrupted");
    const DiskClaim claim = {
        .window = snapshot->report->window,
        .guest = snapshot->guest,
        .coverage = coverage,
    };
    return evidence_disk_judge_snapshot(report->states, &claim);
}

static HookOutcome count_hooks(const GuestWindow *window)
{
    HookOutcome outcome = {.known = window->detailed, .ran = window->hooks->len};

    for (unsigned i = 0; i < window->hooks->len; i++) {
        const WindowHook *hook = g_ptr_array_index(window->hooks, i);
        outcome.failed += !hook->ok;
    }
    return outcome;
}

static void judge(Snapshot *snapshot)
{
    SnapshotReport *report = snapshot->report;
    g_autoptr(FreezeCoverage) coverage = freeze_coverage_new(snapshot->guest, report->window, NULL);
    HookOutcome hooks = count_hooks(report->window);

    g_ptr_array_add(report->evidence, evidence_claim_judge(report->window, coverage));
    g_ptr_array_add(report->evidence, judge_counters(snapshot, coverage));
    g_ptr_array_add(report->evidence, judge_canaries(snapshot));
    progress_show(snapshot->progress, "looking into what was taken");
    g_ptr_array_add(report->evidence, inspect_images(snapshot, coverage));
    progress_clear(snapshot->progress);
    report->verdict = verdict_reach(report->evidence);
    report->consistency = verdict_consistency(report->verdict, &hooks);
    report->judged = true;
}

/* ---- all of it ---- */

static bool prepare(Snapshot *snapshot, GError **error)
{
    progress_show(snapshot->progress, "asking the agent and QEMU");
    agent_link_set_interrupt_fd(snapshot->link, interrupt_fd(snapshot->interrupt));
    return check_options(snapshot->options, error) && look_at_agent(snapshot, error) &&
           look_at_filesystems(snapshot, error) && look_at_disks(snapshot, error);
}

static void snapshot_clear(Snapshot *snapshot)
{
    agent_link_free(snapshot->link);
    g_clear_pointer(&snapshot->taker, snapshot_taker_free);
    g_clear_pointer(&snapshot->counters, counter_watch_free);
    g_clear_pointer(&snapshot->guest, guest_filesystems_free);
}

SnapshotReport *snapshot_run(const Options *options, Interrupt *interrupt, Progress *progress)
{
    Snapshot snapshot = {.options = options, .interrupt = interrupt, .progress = progress};
    g_autoptr(GError) problem = NULL;
    SnapshotReport *report = g_new0(SnapshotReport, 1);

    report->window = guest_window_new();
    report->canaries = g_ptr_array_new_with_free_func((GDestroyNotify)canary_record_free);
    report->evidence = g_ptr_array_new_with_free_func((GDestroyNotify)evidence_free);
    snapshot.report = report;
    snapshot.link = target_agent(options->target, options->timeout_ms);
    if (prepare(&snapshot, &problem)) {
        progress_show(progress, "freezing the guest for the snapshot");
        run_window(&snapshot);
    } else {
        fail(report, problem->message);
    }
    progress_clear(progress);
    if (report->taken)
        judge(&snapshot);
    snapshot_clear(&snapshot);
    return report;
}

void snapshot_report_free(SnapshotReport *report)
{
    g_clear_pointer(&report->profile, agent_profile_free);
    g_clear_pointer(&report->disks, g_ptr_array_unref);
    guest_window_free(report->window);
    g_ptr_array_unref(report->canaries);
    g_ptr_array_unref(report->evidence);
    g_free(report->failure);
    g_free(report);
}

int snapshot_report_exit_status(const SnapshotReport *report)
{
    if (report->unthawed || !report->judged)
        return VERB_EXIT_ERROR;
    return verdict_exit_status(report->verdict);
}
