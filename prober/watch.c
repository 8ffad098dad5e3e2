/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/watch.h"
#include "prober/guest-clock.h"
#include "prober/guest-freeze.h"
#include "prober/observed-freeze.h"
#include "prober/probe-error.h"
#include "prober/status-poll.h"
#include "prober/verb.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* How the disks behave when nobody can have frozen yet, or any more. */
#define MARGIN_US (1000 * 1000)
/* A question between those of others; libvirt's own way round is longer. */
#define POLL_TIMEOUT_MS 500
#define POLL_TIMEOUT_LIBVIRT_MS 5000

typedef struct {
    const Options *options;
    Interrupt *interrupt;
    Progress *progress;
    WatchReport *report;
    AgentLink *link;
    CounterSource *counters; /* NULL: none, or lost */
    char *counter_problem;
    const char *counter_remedy;
    char *counter_lost;
    json_object *history_before; /* NULL: not known */
    GuestClock clock_before;
    char *agent_problem; /* why the agent's word is missing */
    StatusPoll *poll;    /* NULL: nobody asks */
    GArray *answers;     /* of StatusAnswer; NULL: nobody asked */
    CommandRun *command; /* NULL: none */
    bool command_ended;
    bool stop; /* a signal asked for the end */
} Watch;

/* ---- the agent, before and after ---- */

static json_object *ask_history(Watch *watch, GError **error)
{
    if (!agent_profile_offers(watch->report->profile, "quiesce-history"))
        return NULL;
    return agent_link_call(watch->link, "quiesce-history", NULL, error);
}

static bool look_at_agent(Watch *watch, GError **error)
{
    g_autoptr(GError) problem = NULL;
    WatchReport *report = watch->report;

    if (!report->profile)
        report->profile = agent_profile_read(watch->link, error);
    if (!report->profile)
        return false;
    if (report->guest || !agent_profile_offers(report->profile, "guest-get-fsinfo"))
        return true;
    json_object *reply = agent_link_call(watch->link, "guest-get-fsinfo", NULL, &problem);
    if (!problem && json_object_is_type(reply, json_type_array))
        report->guest = guest_filesystems_new(reply);
    json_object_put(reply);
    return true;
}

/* An agent that does not answer now is no reason not to watch. */
static void ask_before(Watch *watch)
{
    g_autoptr(GError) problem = NULL;

    if (look_at_agent(watch, &problem)) {
        watch->history_before = ask_history(watch, &problem);
        watch->clock_before = guest_clock_read(watch->link, watch->report->profile);
    }
    if (problem)
        watch->agent_problem = g_strdup(problem->message);
    agent_link_disconnect(watch->link);
}

static void take_history(Watch *watch, json_object *after)
{
    WatchReport *report = watch->report;
    GuestClock clock_after = guest_clock_read(watch->link, report->profile);
    GuestClock clock = guest_clock_between(&watch->clock_before, &clock_after);
    int64_t since_us = report->began_us + clock.offset_us - clock.slack_us;

    g_ptr_array_unref(report->freezes);
    report->freezes =
        observed_freezes_new(watch->history_before, after, clock.known ? since_us : 0);
    for (unsigned i = 0; i < report->freezes->len; i++)
        observed_freeze_place(g_ptr_array_index(report->freezes, i), &clock);
}

/* Whether the agent's history was read. */
static bool ask_after(Watch *watch)
{
    g_autoptr(GError) problem = NULL;
    WatchReport *report = watch->report;
    json_object *after = look_at_agent(watch, &problem) ? ask_history(watch, &problem) : NULL;
    bool told = json_object_is_type(after, json_type_object);

    g_clear_pointer(&watch->agent_problem, g_free);
    if (problem)
        watch->agent_problem = g_strdup(problem->message);
    if (told)
        take_history(watch, after);
    json_object_put(after);
    if (report->profile && !problem) {
        g_autofree char *state = guest_freeze_status(watch->link, report->profile, NULL);
        report->frozen_at_end = g_strcmp0(state, "frozen") == 0;
    }
    agent_link_disconnect(watch->link);
    return told;
}

/* ---- while watching ---- */

static void open_counters(Watch *watch)
{
    g_autoptr(GError) problem = NULL;

    watch->counters =
        target_counters(watch->options->target, watch->options->timeout_ms,
                        interrupt_fd(watch->interrupt), &watch->counter_remedy, &problem);
    if (!watch->counters) {
        watch->counter_problem = g_strdup(problem->message);
        return;
    }
    /* A signal is the command's, or the regular end. */
    counter_source_set_interrupt_fd(watch->counters, -1);
    watch->report->activity = activity_log_new();
}

static void lose_counters(Watch *watch, const char *why)
{
    watch->counter_lost = g_strdup(why);
    g_clear_pointer(&watch->counters, counter_source_free);
}

static void sample(Watch *watch)
{
    g_autoptr(GError) problem = NULL;

    if (!watch->counters)
        return;
    int64_t asked_us = g_get_monotonic_time();
    g_autoptr(GArray) now =
        counter_source_sample(watch->counters, watch->options->timeout_ms, &problem);
    if (!now)
        lose_counters(watch, problem->message);
    else if (!activity_log_add(watch->report->activity, asked_us, g_get_monotonic_time(), now))
        lose_counters(watch, "it took too long to remember all of it");
}

static void pass_signals_on(Watch *watch)
{
    for (int number; (number = interrupt_take(watch->interrupt)) != 0;) {
        if (watch->command && !watch->command_ended)
            command_run_signal(watch->command, number);
        else
            watch->stop = true;
    }
}

/* Until the moment, a signal or the command's end. */
static void wait_until(Watch *watch, int64_t until_us)
{
    bool runs = watch->command && !watch->command_ended;
    int64_t left_us = MAX(until_us - g_get_monotonic_time(), 0);
    struct timespec left = {.tv_sec = left_us / G_USEC_PER_SEC,
                            .tv_nsec = (long)(left_us % G_USEC_PER_SEC) * 1000};
    struct pollfd fds[] = {{.fd = interrupt_fd(watch->interrupt), .events = POLLIN},
                           {.fd = runs ? command_run_fd(watch->command) : -1, .events = POLLIN}};

    ppoll(fds, G_N_ELEMENTS(fds), &left, NULL);
    pass_signals_on(watch);
    if (runs)
        watch->command_ended = command_run_ended(watch->command, &watch->report->command_end);
}

static void show_progress(Watch *watch)
{
    double seconds = (double)(g_get_monotonic_time() - watch->report->began_us) / G_USEC_PER_SEC;

    if (watch->command)
        return;
    progress_show(watch->progress, "watching for %.1f s%s%s", seconds,
                  watch->poll && status_poll_is_frozen(watch->poll) ? ", the guest is frozen" : "",
                  watch->options->command ? "" : "; Ctrl-C ends it");
}

/* Samples until end_us or, with a command that runs, until its end; a signal ends either. */
static void watch_until(Watch *watch, int64_t end_us)
{
    bool ran = watch->command && !watch->command_ended;

    while (!watch->stop) {
        int64_t next_us = g_get_monotonic_time() + watch->options->interval_us;
        sample(watch);
        show_progress(watch);
        while (!watch->stop && g_get_monotonic_time() < MIN(next_us, end_us)) {
            wait_until(watch, MIN(next_us, end_us));
            if (ran && watch->command_ended)
                return;
        }
        if (g_get_monotonic_time() >= end_us)
            break;
    }
    sample(watch);
}

static int64_t later_us(int64_t duration_us)
{
    return g_get_monotonic_time() + duration_us;
}

/* False when it cannot be started. */
static bool watch_command(Watch *watch, GError **error)
{
    const Options *options = watch->options;

    watch_until(watch, later_us(MARGIN_US));
    progress_clear(watch->progress);
    if (watch->stop) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_INTERRUPTED,
                    "interrupted before '%s' was started", options->command[0]);
        return false;
    }
    /* With --json standard output is for one object alone. */
    watch->command = command_run_start((const char *const *)options->command,
                                       options->json ? STDERR_FILENO : STDOUT_FILENO, error);
    if (!watch->command)
        return false;
    watch->report->command_ran = true;
    watch_until(watch, G_MAXINT64);
    watch_until(watch, later_us(MARGIN_US));
    return true;
}

/* See the top of watch.h. */
static void start_polling(Watch *watch)
{
    const Options *options = watch->options;
    bool shared = options->target->domain != NULL;

    if (!watch->report->profile ||
        agent_profile_offers(watch->report->profile, "quiesce-history") ||
        (options->command && !shared))
        return;
    AgentLink *link =
        target_agent(options->target, shared ? POLL_TIMEOUT_LIBVIRT_MS : POLL_TIMEOUT_MS);
    watch->poll = status_poll_start(link, watch->report->profile, shared);
}

static bool watch_guest(Watch *watch, GError **error)
{
    WatchReport *report = watch->report;
    int64_t duration_us = watch->options->duration_us;
    bool watched = true;

    start_polling(watch);
    report->began_us = g_get_monotonic_time();
    report->real_time_us = g_get_real_time() - report->began_us;
    if (watch->options->command)
        watched = watch_command(watch, error);
    else
        watch_until(watch, duration_us > 0 ? later_us(duration_us) : G_MAXINT64);
    report->ended_us = g_get_monotonic_time();
    progress_clear(watch->progress);
    if (watch->poll)
        watch->answers = status_poll_stop(g_steal_pointer(&watch->poll));
    return watched;
}

/* ---- the end ---- */

static void judge(Watch *watch, bool history)
{
    WatchReport *report = watch->report;
    WatchFindings findings = {
        .word = history ? WATCH_WORD_HISTORY : WATCH_WORD_NONE,
        .word_problem = watch->agent_problem,
        .frozen_at_end = report->frozen_at_end,
        .guest = report->guest,
        .activity = report->activity,
        .activity_unavailable = watch->counter_problem,
        .activity_remedy = watch->counter_remedy,
        .activity_lost = watch->counter_lost,
        .watched_us = report->ended_us - report->began_us,
    };

    if (!history && watch->answers && watch->answers->len > 0) {
        g_ptr_array_unref(report->freezes);
        report->freezes = observed_freezes_from_answers(watch->answers);
        findings.word = WATCH_WORD_ANSWERS;
        findings.answers = watch->answers->len;
    }
    if (!findings.word_problem) {
        findings.word_problem = watch->answers
                                    ? "the agent did not answer in between, and keeps no history"
                                    : "the agent keeps no history, and was left alone meanwhile";
        findings.word_remedy = "install quiesced in the guest: it remembers who froze what";
    }
    findings.freezes = report->freezes;
    report->judgement = watch_judge(&findings);
}

static bool prepare(Watch *watch, GError **error)
{
    agent_link_set_interrupt_fd(watch->link, interrupt_fd(watch->interrupt));
    progress_show(watch->progress, "asking the agent");
    ask_before(watch);
    if (interrupt_check(watch->interrupt, error))
        return false;
    open_counters(watch);
    if (interrupt_check(watch->interrupt, error))
        return false;
    if (watch->report->profile || watch->counters)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST, "there is nothing to watch: %s; and %s (%s)",
                watch->agent_problem, watch->counter_problem, watch->counter_remedy);
    return false;
}

static void watch_clear(Watch *watch)
{
    agent_link_free(watch->link);
    g_clear_pointer(&watch->counters, counter_source_free);
    g_clear_pointer(&watch->answers, g_array_unref);
    g_clear_pointer(&watch->command, command_run_free);
    json_object_put(watch->history_before);
    g_free(watch->counter_problem);
    g_free(watch->counter_lost);
    g_free(watch->agent_problem);
}

WatchReport *watch_run(const Options *options, Interrupt *interrupt, Progress *progress)
{
    Watch watch = {.options = options, .interrupt = interrupt, .progress = progress};
    g_autoptr(GError) problem = NULL;
    WatchReport *report = g_new0(WatchReport, 1);

    report->freezes = g_ptr_array_new_with_free_func((GDestroyNotify)observed_freeze_free);
    watch.report = report;
    watch.link = target_agent(options->target, options->timeout_ms);
    if (prepare(&watch, &problem) && watch_guest(&watch, &problem)) {
        progress_show(progress, "asking the agent");
        judge(&watch, ask_after(&watch));
    } else {
        report->failure = g_strdup(problem->message);
    }
    progress_clear(progress);
    watch_clear(&watch);
    return report;
}

void watch_report_free(WatchReport *report)
{
    g_clear_pointer(&report->profile, agent_profile_free);
    g_clear_pointer(&report->guest, guest_filesystems_free);
    g_clear_pointer(&report->activity, activity_log_free);
    g_clear_pointer(&report->judgement, watch_judgement_free);
    g_ptr_array_unref(report->freezes);
    g_free(report->failure);
    g_free(report);
}

int watch_report_exit_status(const WatchReport *report)
{
    return report->judgement ? verdict_exit_status(report->judgement->verdict) : VERB_EXIT_ERROR;
}
