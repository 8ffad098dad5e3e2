/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/verify.h"
#include "prober/disk-watch.h"
#include "prober/evidence-canary.h"
#include "prober/evidence-claim.h"
#include "prober/evidence-counters.h"
#include "prober/exec-canary.h"
#include "prober/guest-filesystems.h"
#include "prober/guest-freeze.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"
#include "prober/report-page.h"

#include <string.h>

#define SAMPLE_EVERY_US (100 * 1000)
#define STATUS_EVERY_US (1000 * 1000)
#define WATCH_BEFORE_US (1000 * 1000)
#define WATCH_AFTER_US (1000 * 1000)
/* How long a stalled monitor may stretch the hold. */
#define SAMPLE_TIMEOUT_MS 1000
/* How much longer than the hold the guest may stay frozen if this program is killed. */
#define HOLD_TIMEOUT_EXTRA_MS (30 * 1000)
#define CANARY_EXTRA_S 60

typedef struct {
    const Options *options;
    AgentLink *link;
    Interrupt *interrupt;
    Progress *progress;
    VerifyReport *report;
    GuestFilesystems *guest; /* NULL: the guest does not tell */
    CounterSource *counters; /* NULL: none */
    bool counters_lost;      /* the disks may still need what is behind them */
    CounterFindings counter_findings;
    char *counter_problem;
    DiskWatch *disks;      /* NULL: not opened yet */
    ExecCanaries *writers; /* NULL: none */
    CanaryFindings canary_findings;
    char *canary_problem;
    int64_t frozen_at_us; /* when the freeze's reply came; 0: never */
} Verify;

static const char *const *requested(const Verify *verify)
{
    return (const char *const *)verify->options->mount_points;
}

/* ---- before the freeze ---- */

static bool look_at_agent(Verify *verify, GError **error)
{
    verify->report->profile = agent_profile_read(verify->link, error);
    if (!verify->report->profile)
        return false;

    g_autofree char *state = guest_freeze_status(verify->link, verify->report->profile, error);
    if (!state)
        return false;
    if (strcmp(state, "thawed") == 0)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                "the guest is %s already, by somebody else's doing, and verify would thaw it; "
                "wait for its end, or run 'quiesce-probe thaw'",
                state);
    return false;
}

static bool look_at_filesystems(Verify *verify, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!agent_profile_offers(verify->report->profile, "guest-get-fsinfo"))
        return true;
    json_object *reply = agent_link_call(verify->link, "guest-get-fsinfo", NULL, &problem);
    if (!problem && json_object_is_type(reply, json_type_array))
        verify->guest = guest_filesystems_new(reply);
    json_object_put(reply);
    if (!problem || agent_link_is_answer(problem))
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static bool open_counters(Verify *verify, GError **error)
{
    const Options *options = verify->options;
    g_autoptr(GError) problem = NULL;

    verify->counters =
        target_counters(options->target, options->timeout_ms, interrupt_fd(verify->interrupt),
                        &verify->counter_findings.remedy, &problem);
    if (interrupt_check(verify->interrupt, error))
        return false;
    if (!verify->counters) {
        verify->counter_problem = g_strdup(problem->message);
        verify->counter_findings.unavailable = verify->counter_problem;
        return true;
    }
    verify->report->watch = counter_watch_new();
    verify->counter_findings.watch = verify->report->watch;
    return true;
}

static bool open_disks(Verify *verify, GError **error)
{
    const Options *options = verify->options;
    Qmp *qmp = verify->counters ? counter_source_qmp(verify->counters) : NULL;

    if (options->no_disk) {
        verify->disks = disk_watch_new_unavailable("switched off", "leave out --no-disk");
    } else if (qmp) {
        /* The exports must be removed after a signal, too; no sample takes long. */
        counter_source_set_interrupt_fd(verify->counters, -1);
        verify->disks = disk_watch_new(qmp, options->timeout_ms, interrupt_fd(verify->interrupt));
    } else if (options->target->domain) {
        verify->disks = disk_watch_new_images(options->target, options->timeout_ms,
                                              interrupt_fd(verify->interrupt));
    } else if (verify->counters) {
        verify->disks =
            disk_watch_new_unavailable("no way to read the guest's disks given", "add --qmp PATH");
    } else {
        verify->disks = disk_watch_new_unavailable(verify->counter_findings.unavailable,
                                                   verify->counter_findings.remedy);
    }
    return !interrupt_check(verify->interrupt, error);
}

static bool no_canary(Verify *verify, const char *reason, const char *remedy)
{
    g_free(verify->canary_problem);
    verify->canary_problem = g_strdup(reason);
    verify->canary_findings.unavailable = verify->canary_problem;
    verify->canary_findings.remedy = remedy;
    return true;
}

/* Only where a freeze is going to hold them; never more than was asked for. */
static GStrv writer_mount_points(const Verify *verify)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    if (requested(verify))
        return g_strdupv(verify->options->mount_points);
    for (unsigned i = 0; verify->guest && i < verify->guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(verify->guest->filesystems, i);
        if (filesystem->freezable)
            g_strv_builder_add(builder, filesystem->mount_point);
    }
    return g_strv_builder_end(builder);
}

static bool start_writers(Verify *verify, GError **error)
{
    const Options *options = verify->options;
    const AgentProfile *profile = verify->report->profile;
    g_autoptr(GError) problem = NULL;

    if (options->no_canary)
        return no_canary(verify, "switched off", "leave out --no-canary");
    if (agent_profile_offers(profile, "quiesce-freeze"))
        return no_canary(verify, "the agent reported nothing of its writers", NULL);
    if (!agent_profile_offers(profile, "guest-exec") ||
        !agent_profile_offers(profile, "guest-exec-status"))
        return no_canary(verify, "the agent offers neither quiesce-freeze nor guest-exec",
                         "install quiesced in the guest, or allow guest-exec");
    g_auto(GStrv) mount_points = writer_mount_points(verify);
    if (!mount_points[0])
        return no_canary(verify, "the guest does not tell where its filesystems are",
                         "name them with --mountpoint");

    int64_t lifetime_s = options->hold_us / G_USEC_PER_SEC + CANARY_EXTRA_S;
    verify->writers = exec_canaries_start(verify->link, (const char *const *)mount_points,
                                          lifetime_s, options->timeout_ms, &problem);
    if (verify->writers)
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* ---- watching ---- */

/* Losing the counters never stops the procedure; a signal does. */
static bool sample(Verify *verify, CounterPhase phase, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!verify->counters || verify->counters_lost)
        return true;
    g_autoptr(GArray) now = counter_source_sample(
        verify->counters, MIN(verify->options->timeout_ms, SAMPLE_TIMEOUT_MS), &problem);
    if (now) {
        counter_watch_add_at(verify->report->watch, phase, now, g_get_monotonic_time());
        return true;
    }
    if (interrupt_check(verify->interrupt, error))
        return false;
    verify->counter_problem = g_strdup(problem->message);
    verify->counter_findings.lost = verify->counter_problem;
    verify->counters_lost = true;
    return true;
}

static void show_progress(const Verify *verify, CounterPhase phase)
{
    double hold_s = (double)verify->options->hold_us / G_USEC_PER_SEC;

    if (phase == COUNTER_PHASE_HOLD)
        progress_show(verify->progress, "the guest is frozen, %.1f of %.1f s",
                      (double)(g_get_monotonic_time() - verify->frozen_at_us) / G_USEC_PER_SEC,
                      hold_s);
    else
        progress_show(verify->progress, "the guest is thawed, watching its disks");
}

/* Samples from now until end_us, and once more at the end. */
static bool sample_until(Verify *verify, CounterPhase phase, int64_t end_us, GError **error)
{
    for (;;) {
        int64_t left_us = end_us - g_get_monotonic_time();
        show_progress(verify, phase);
        if (!interrupt_sleep(verify->interrupt, CLAMP(left_us, 0, SAMPLE_EVERY_US), error) ||
            !sample(verify, phase, error))
            return false;
        if (g_get_monotonic_time() >= end_us)
            return true;
    }
}

static bool watch_before(Verify *verify, GError **error)
{
    if (verify->counters && (!sample(verify, COUNTER_PHASE_BEFORE, error) ||
                             !sample_until(verify, COUNTER_PHASE_BEFORE,
                                           g_get_monotonic_time() + WATCH_BEFORE_US, error)))
        return false;

    g_autoptr(GError) problem = NULL;
    if (!disk_watch_read_before(verify->disks, verify->interrupt, error))
        return false;
    if (!verify->writers || exec_canaries_mark_before(verify->writers, &problem))
        return true;
    if (interrupt_check(verify->interrupt, error))
        return false;
    exec_canaries_stop(verify->writers);
    g_clear_pointer(&verify->writers, exec_canaries_free);
    return no_canary(verify, problem->message, NULL);
}

/* ---- the window ---- */

static bool freeze(Verify *verify, GError **error)
{
    const Options *options = verify->options;
    FreezeRequest request = {
        .mount_points = requested(verify),
        .canary = !options->no_canary,
        .hold_timeout_ms = options->hold_us / 1000 + HOLD_TIMEOUT_EXTRA_MS,
    };

    progress_show(verify->progress, "freezing the guest");
    if (!guest_freeze_freeze(verify->link, verify->report->profile, &request, options->freeze_ms,
                             verify->report->window, error))
        return false;
    verify->frozen_at_us = g_get_monotonic_time();
    return true;
}

static bool ask_status(Verify *verify, GError **error)
{
    GuestWindow *window = verify->report->window;
    g_autofree char *state = guest_freeze_status(verify->link, verify->report->profile, error);

    if (!state)
        return false;
    if (strcmp(state, "frozen") == 0)
        window->frozen_answers++;
    else if (!window->other_answer)
        window->other_answer = g_strdup(state);
    return true;
}

static bool hold(Verify *verify, GError **error)
{
    int64_t end_us = verify->frozen_at_us + verify->options->hold_us;

    if (!sample(verify, COUNTER_PHASE_FREEZING, error))
        return false;
    disk_watch_read_in_hold(verify->disks);
    do {
        int64_t next_us = MIN(g_get_monotonic_time() + STATUS_EVERY_US, end_us);
        if (!ask_status(verify, error) || !sample_until(verify, COUNTER_PHASE_HOLD, next_us, error))
            return false;
    } while (g_get_monotonic_time() < end_us);
    disk_watch_read_in_hold(verify->disks);
    return ask_status(verify, error) && sample(verify, COUNTER_PHASE_HOLD, error);
}

/* Whatever happened before: this comes next. */
static void thaw(Verify *verify)
{
    VerifyReport *report = verify->report;
    g_autoptr(GError) problem = NULL;

    /* What may have to be said about it must not be lost behind the line. */
    progress_clear(verify->progress);
    if (verify->frozen_at_us > 0)
        report->window->hold_us = g_get_monotonic_time() - verify->frozen_at_us;
    if (guest_freeze_thaw(verify->link, report->profile, verify->options->thaw_ms, report->window,
                          &problem))
        return;
    report->unthawed = true;
    g_autofree char *before = report->failure;
    report->failure = before ? g_strdup_printf("%s; before that: %s", problem->message, before)
                             : g_strdup(problem->message);
}

/* ---- after the thaw ---- */

static bool watch_after(Verify *verify, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (verify->writers && !exec_canaries_mark_after(verify->writers, &problem)) {
        exec_canaries_stop(verify->writers);
        g_clear_pointer(&verify->writers, exec_canaries_free);
        no_canary(verify, problem->message, NULL);
    }
    if (!verify->counters || verify->counters_lost)
        return true;
    return sample_until(verify, COUNTER_PHASE_AFTER, g_get_monotonic_time() + WATCH_AFTER_US,
                        error);
}

static void collect_canaries(Verify *verify)
{
    VerifyReport *report = verify->report;
    const GuestWindow *window = report->window;

    if (verify->writers) {
        g_ptr_array_unref(report->canaries);
        report->canaries =
            exec_canaries_collect(verify->writers, (double)window->hold_us / G_USEC_PER_SEC);
        return;
    }
    if (!agent_profile_offers(report->profile, "quiesce-freeze") || verify->options->no_canary)
        return;
    for (unsigned i = 0; i < window->filesystems->len; i++) {
        WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        CanaryRecord *record = g_steal_pointer(&filesystem->canary);
        if (!record) {
            record = canary_record_new(filesystem->mount_point);
            record->error_text = g_strdup("no writer ran here");
        }
        g_ptr_array_add(report->canaries, record);
    }
}

static void count_hooks(const GuestWindow *window, HookOutcome *outcome)
{
    outcome->known = window->detailed;
    outcome->ran = window->hooks->len;
    for (unsigned i = 0; i < window->hooks->len; i++) {
        const WindowHook *hook = g_ptr_array_index(window->hooks, i);
        if (!hook->ok)
            outcome->failed++;
    }
}

static Evidence *judge_disks(const Verify *verify)
{
    const DiskClaim claim = {
        .window = verify->report->window,
        .guest = verify->guest,
        .coverage = verify->report->coverage,
        .requested = requested(verify),
    };

    return evidence_disk_judge(disk_watch_findings(verify->disks), &claim);
}

static void judge(Verify *verify)
{
    VerifyReport *report = verify->report;
    HookOutcome hooks = {0};

    report->coverage = freeze_coverage_new(verify->guest, report->window, requested(verify));
    verify->canary_findings.records = report->canaries;
    verify->canary_findings.hold_ms = (double)report->window->hold_us / 1000;
    g_ptr_array_add(report->evidence, evidence_claim_judge(report->window, report->coverage));
    g_ptr_array_add(report->evidence,
                    evidence_counters_judge(&verify->counter_findings, report->coverage));
    g_ptr_array_add(report->evidence, evidence_canary_judge(&verify->canary_findings));
    g_ptr_array_add(report->evidence, judge_disks(verify));

    count_hooks(report->window, &hooks);
    report->verdict = verdict_reach(report->evidence);
    report->consistency = verdict_consistency(report->verdict, &hooks);
    /* Half a procedure can show that the guest was not frozen, never that it was. */
    report->judged = !report->failure || report->verdict == VERDICT_NOT_FROZEN;
}

/* What the page shows of the agent's log; an agent without one, or trouble, leaves it out. */
static void fetch_log(Verify *verify)
{
    VerifyReport *report = verify->report;

    if (!verify->options->html_path || !report->profile ||
        !agent_profile_offers(report->profile, "quiesce-log"))
        return;
    json_object *arguments = json_object_new_object();
    json_object_object_add(arguments, "lines", json_object_new_int(REPORT_PAGE_LOG_LINES));
    json_object *reply = agent_link_call(verify->link, "quiesce-log", arguments, NULL);
    json_object *lines = json_field_array(reply, "lines");
    for (size_t i = 0; i < json_field_length(lines, REPORT_PAGE_LOG_LINES); i++)
        g_ptr_array_add(report->log,
                        g_strdup(json_object_get_string(json_object_array_get_idx(lines, i))));
    json_object_put(reply);
    json_object_put(arguments);
}

/* ---- all of it ---- */

static bool prepare(Verify *verify, GError **error)
{
    progress_show(verify->progress, "asking the agent");
    agent_link_set_interrupt_fd(verify->link, interrupt_fd(verify->interrupt));
    return look_at_agent(verify, error) && look_at_filesystems(verify, error) &&
           open_counters(verify, error) && open_disks(verify, error) &&
           start_writers(verify, error) && watch_before(verify, error);
}

static void stop_writers(Verify *verify)
{
    agent_link_set_interrupt_fd(verify->link, -1);
    if (verify->writers)
        exec_canaries_stop(verify->writers);
}

/* The signal, when there was one: what failed on its account is no news. */
static char *failure_text(Verify *verify, const GError *problem)
{
    g_autoptr(GError) signal = NULL;

    if (interrupt_check(verify->interrupt, &signal))
        return g_strdup(signal->message);
    return g_strdup(problem->message);
}

/* Without a hold there is nothing that they could have seen. */
static void forget_watchers(Verify *verify)
{
    verify->counter_findings.lost = "there was no complete hold";
    disk_watch_lose(verify->disks, "there was no complete hold");
    if (verify->writers)
        no_canary(verify, "there was no complete hold", NULL);
}

static void run_window(Verify *verify)
{
    VerifyReport *report = verify->report;
    g_autoptr(GError) problem = NULL;
    bool held = freeze(verify, &problem) && hold(verify, &problem);

    /* A freeze that failed has answered the question; the answer is judged below. */
    if (!held && !report->window->freeze_error)
        report->failure = failure_text(verify, problem);
    thaw(verify);
    disk_watch_close(verify->disks);

    bool interrupted = interrupt_check(verify->interrupt, NULL);
    if (held && !interrupted && !report->unthawed) {
        g_autoptr(GError) trouble = NULL;
        interrupted = !watch_after(verify, &trouble);
        collect_canaries(verify);
    }
    if (!held)
        forget_watchers(verify);
    stop_writers(verify);
    if (interrupted && !report->failure)
        report->failure = failure_text(verify, NULL);
    if (!interrupted)
        judge(verify);
}

static void verify_clear(Verify *verify)
{
    g_clear_pointer(&verify->guest, guest_filesystems_free);
    if (verify->disks)
        verify->report->disks = disk_watch_steal_history(verify->disks);
    g_clear_pointer(&verify->disks, disk_watch_free);
    g_clear_pointer(&verify->counters, counter_source_free);
    g_clear_pointer(&verify->writers, exec_canaries_free);
    g_free(verify->counter_problem);
    g_free(verify->canary_problem);
}

VerifyReport *verify_run(const Options *options, AgentLink *link, Interrupt *interrupt,
                         Progress *progress)
{
    Verify verify = {
        .options = options, .link = link, .interrupt = interrupt, .progress = progress};
    g_autoptr(GError) problem = NULL;
    VerifyReport *report = g_new0(VerifyReport, 1);
    int64_t begin_us = g_get_monotonic_time();

    report->window = guest_window_new();
    report->canaries = g_ptr_array_new_with_free_func((GDestroyNotify)canary_record_free);
    report->evidence = g_ptr_array_new_with_free_func((GDestroyNotify)evidence_free);
    report->log = g_ptr_array_new_with_free_func(g_free);
    report->began_at_us = g_get_real_time();
    verify.report = report;
    if (prepare(&verify, &problem)) {
        run_window(&verify);
    } else {
        report->failure = failure_text(&verify, problem);
        stop_writers(&verify);
    }
    progress_clear(progress);
    if (!report->failure)
        fetch_log(&verify);
    report->took_us = g_get_monotonic_time() - begin_us;
    verify_clear(&verify);
    return report;
}

void verify_report_free(VerifyReport *report)
{
    g_clear_pointer(&report->profile, agent_profile_free);
    g_clear_pointer(&report->coverage, freeze_coverage_free);
    g_clear_pointer(&report->watch, counter_watch_free);
    g_clear_pointer(&report->disks, disk_history_free);
    guest_window_free(report->window);
    g_ptr_array_unref(report->canaries);
    g_ptr_array_unref(report->evidence);
    g_ptr_array_unref(report->log);
    g_free(report->failure);
    g_free(report);
}

int verify_report_exit_status(const VerifyReport *report)
{
    if (report->unthawed || !report->judged)
        return 3;
    return verdict_exit_status(report->verdict);
}

ProbeResult verify_report_result(const VerifyReport *report, const char *guest_name)
{
    return (ProbeResult){
        .verb = "verify",
        .guest = guest_name,
        .began_at_us = report->began_at_us,
        .took_us = report->took_us,
        .profile = report->profile,
        .judged = report->judged,
        .verdict = report->verdict,
        .consistency = report->consistency,
        .failure = report->failure,
        .unthawed = report->unthawed,
        .evidence = report->evidence,
        .window = report->window,
        .watch = report->watch,
        .disks = report->disks,
        .canaries = report->canaries,
        .log = report->log,
    };
}
