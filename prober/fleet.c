/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/fleet.h"
#include "prober/fleet-summary.h"
#include "prober/guest-job.h"
#include "prober/progress.h"
#include "prober/render-json.h"
#include "prober/text-table.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    unsigned guest;
    GuestJob *job;
} Running;

typedef struct {
    const Verb *verb;
    Options *options;
    GPtrArray *targets; /* of Target, borrowed from the options */
    GPtrArray *rows;    /* of FleetRow, one for each target; NULL: not ended yet */
    GArray *running;    /* of Running */
    unsigned next;      /* the first target that has not been begun */
    Interrupt *interrupt;
    Progress *progress; /* borrowed */
    char *interrupted;  /* by what; NULL: nothing has come */
    bool deaf;          /* goes on in spite of signals */
    bool output_failed;
} Fleet;

static void running_clear(gpointer running)
{
    guest_job_free(((Running *)running)->job);
}

static void free_row(gpointer row)
{
    g_clear_pointer((FleetRow **)&row, fleet_row_free);
}

static void fleet_clear(Fleet *fleet)
{
    g_ptr_array_unref(fleet->rows);
    g_array_unref(fleet->running);
    g_free(fleet->interrupted);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fleet, fleet_clear)

static void fleet_init(Fleet *fleet)
{
    fleet->rows = g_ptr_array_new_with_free_func(free_row);
    g_ptr_array_set_size(fleet->rows, (int)fleet->targets->len);
    fleet->running = g_array_new(FALSE, FALSE, sizeof(Running));
    g_array_set_clear_func(fleet->running, running_clear);
}

static const Target *target_at(const Fleet *fleet, unsigned guest)
{
    return g_ptr_array_index(fleet->targets, guest);
}

/* ---- output and signals ---- */

/* Passes the signal on to those that run; nobody else is begun. */
static void take_interrupt(Fleet *fleet)
{
    g_autoptr(GError) problem = NULL;
    int number = interrupt_signal(fleet->interrupt);

    if (fleet->deaf || fleet->interrupted || !interrupt_check(fleet->interrupt, &problem))
        return;
    fleet->interrupted = g_strdup(problem->message);
    for (unsigned i = 0; i < fleet->running->len; i++)
        guest_job_signal(g_array_index(fleet->running, Running, i).job, number);
}

static struct pollfd interrupt_poll(const Fleet *fleet)
{
    bool done = fleet->deaf || fleet->interrupted;

    return (struct pollfd){.fd = done ? -1 : interrupt_fd(fleet->interrupt), .events = POLLIN};
}

/* To standard output; a reader that takes nothing must not keep signals from the guests. */
static void emit(Fleet *fleet, const char *text, size_t length)
{
    progress_clear(fleet->progress);
    while (length > 0 && !fleet->output_failed) {
        struct pollfd fds[] = {interrupt_poll(fleet), {.fd = STDOUT_FILENO, .events = POLLOUT}};
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
            continue;
        if (fds[0].revents)
            take_interrupt(fleet);
        if (!fds[1].revents)
            continue;
        /* As much as a pipe that is ready takes without waiting. */
        ssize_t written = write(STDOUT_FILENO, text, MIN(length, PIPE_BUF));
        if (written >= 0) {
            text += written;
            length -= (size_t)written;
        } else if (errno != EINTR && errno != EAGAIN) {
            fleet->output_failed = true;
        }
    }
}

/* ---- the end of one guest's process ---- */

static bool freezes(const Fleet *fleet)
{
    return strcmp(fleet->verb->name, "freeze") == 0 || strcmp(fleet->verb->name, "verify") == 0;
}

/* Writes the report that the guest's process did not write. */
static char *make_report(const Fleet *fleet, unsigned guest, const char *problem, bool unthawed)
{
    g_autoptr(JsonWriter) writer = render_json_begin(fleet->verb->name, target_at(fleet, guest));
    size_t length = 0;

    json_writer_string(writer, "error", problem);
    if (unthawed)
        json_writer_boolean(writer, "guest-may-be-frozen", true);
    json_writer_end_object(writer);
    const char *text = json_writer_text(writer, &length);
    return g_strdup_printf("%.*s\n", (int)length, text);
}

static char *report_of_the_killed(const Fleet *fleet, unsigned guest, int number)
{
    bool unthawed = freezes(fleet);
    g_autofree char *remedy =
        unthawed ? g_strdup_printf("; the guest may be frozen, ask it: quiesce-probe status %s",
                                   target_at(fleet, guest)->words)
                 : g_strdup("");
    g_autofree char *problem =
        g_strdup_printf("the process that asked this guest was ended by signal %d (%s)%s", number,
                        g_strsignal(number), remedy);

    return make_report(fleet, guest, problem, unthawed);
}

static json_object *parse(const char *text)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_WRITER_MAX_DEPTH);
    json_object *report = json_tokener_parse_ex(tokener, text, -1);

    json_tokener_free(tokener);
    return report;
}

static void finish(Fleet *fleet, unsigned guest, const char *text, int status)
{
    json_object *report = parse(text);

    fleet->rows->pdata[guest] =
        fleet_row_new(fleet->verb->name, target_at(fleet, guest)->name, status, report);
    json_object_put(report);
    if (fleet->options->json)
        emit(fleet, text, strlen(text));
}

static void finish_job(Fleet *fleet, const Running *running)
{
    int number = 0;
    int status = guest_job_status(running->job, &number);
    const char *text = guest_job_report(running->job);
    g_autofree char *own = NULL;

    if (status < 0)
        own = report_of_the_killed(fleet, running->guest, number);
    else if (!text)
        own =
            make_report(fleet, running->guest, "its report is longer than 1 MiB: left out", false);
    else if (*text == '\0')
        own = make_report(fleet, running->guest, "the guest's process reported nothing", false);
    finish(fleet, running->guest, own ? own : text, own ? VERB_EXIT_ERROR : status);
}

static void finish_unbegun(Fleet *fleet, unsigned guest, const char *problem)
{
    g_autofree char *text = make_report(fleet, guest, problem, false);

    finish(fleet, guest, text, VERB_EXIT_ERROR);
}

/* ---- the guests side by side ---- */

/* In the guest's own process. */
static int work(void *data)
{
    Fleet *fleet = data;

    /* The other guests' pipes are none of its business. */
    g_array_set_size(fleet->running, 0);
    fleet->options->target = g_ptr_array_index(fleet->targets, fleet->next);
    fleet->options->json = true;
    fleet->options->reported = true;
    int status = fleet->verb->run(fleet->options, fleet->interrupt);
    return fflush(stdout) == 0 ? status : VERB_EXIT_ERROR;
}

static void begin_next(Fleet *fleet)
{
    g_autoptr(GError) problem = NULL;
    Running running = {.guest = fleet->next};

    running.job = guest_job_start(target_at(fleet, fleet->next)->name, work, fleet, fleet->progress,
                                  &problem);
    if (running.job)
        g_array_append_val(fleet->running, running);
    else
        finish_unbegun(fleet, fleet->next, problem->message);
    fleet->next++;
}

static void wait_for_something(Fleet *fleet)
{
    g_autofree struct pollfd *fds =
        g_new(struct pollfd, 1 + GUEST_JOB_FDS * (size_t)fleet->running->len);
    nfds_t count = 1;

    fds[0] = interrupt_poll(fleet);
    for (unsigned i = 0; i < fleet->running->len; i++, count += GUEST_JOB_FDS)
        guest_job_poll(g_array_index(fleet->running, Running, i).job, &fds[count]);
    poll(fds, count, -1);
}

static void collect(Fleet *fleet)
{
    for (unsigned i = fleet->running->len; i-- > 0;) {
        const Running *running = &g_array_index(fleet->running, Running, i);
        if (!guest_job_advance(running->job))
            continue;
        finish_job(fleet, running);
        g_array_remove_index_fast(fleet->running, i);
    }
}

static void show_progress(Fleet *fleet)
{
    unsigned ended = fleet->next - fleet->running->len;

    progress_show(fleet->progress, "%s: %u of %u guests done, %u under way%s", fleet->verb->name,
                  ended, fleet->targets->len, fleet->running->len,
                  fleet->interrupted ? "; interrupted, waiting for them to end" : "");
}

static void run_all(Fleet *fleet)
{
    for (;;) {
        take_interrupt(fleet);
        while (!fleet->interrupted && fleet->next < fleet->targets->len &&
               fleet->running->len < fleet->options->parallel)
            begin_next(fleet);
        if (fleet->running->len == 0 && (fleet->interrupted || fleet->next == fleet->targets->len))
            break;
        show_progress(fleet);
        if (fleet->running->len > 0)
            wait_for_something(fleet);
        collect(fleet);
    }
    g_autofree char *problem = g_strdup_printf("not begun: %s", fleet->interrupted);
    for (; fleet->next < fleet->targets->len; fleet->next++)
        finish_unbegun(fleet, fleet->next, problem);
}

/* ---- the freeze taken back ---- */

static const FleetRow *row_at(const Fleet *fleet, unsigned guest)
{
    return g_ptr_array_index(fleet->rows, guest);
}

static GPtrArray *frozen_targets(const Fleet *fleet)
{
    GPtrArray *frozen = g_ptr_array_new();

    for (unsigned i = 0; i < fleet->targets->len; i++) {
        if (row_at(fleet, i)->standing == FLEET_GOOD)
            g_ptr_array_add(frozen, g_ptr_array_index(fleet->targets, i));
    }
    return frozen;
}

/* Whoever stops a freeze of many guests half-way has no use for those that are frozen already. */
static void take_back(Fleet *fleet)
{
    static const Verb thaw = {.name = "thaw", .run = verb_thaw};
    g_autoptr(GPtrArray) frozen = frozen_targets(fleet);
    g_auto(Fleet) undo = {.verb = &thaw,
                          .options = fleet->options,
                          .targets = frozen,
                          .interrupt = fleet->interrupt,
                          .progress = fleet->progress,
                          .deaf = true};

    fleet->options->deaf = true;
    fleet_init(&undo);
    run_all(&undo);
    fleet->output_failed = fleet->output_failed || undo.output_failed;
    for (unsigned i = 0, k = 0; i < fleet->targets->len && k < frozen->len; i++) {
        if (g_ptr_array_index(fleet->targets, i) != g_ptr_array_index(frozen, k))
            continue;
        const FleetRow *thawed = row_at(&undo, k++);
        bool well = thawed->standing == FLEET_GOOD;
        fleet_row_take_back(fleet->rows->pdata[i], well,
                            g_strdup(well ? fleet->interrupted : thawed->because));
    }
}

/* ---- the summary ---- */

static void print_table(const Fleet *fleet)
{
    bool colour = terminal_text_wants_colour(stdout);
    g_auto(GStrv) headings = fleet_row_headings(fleet->verb->name);
    g_autoptr(TextTable) table = text_table_new((const char *const *)headings);
    g_autofree char *counts = fleet_count_text(fleet->rows);

    for (unsigned i = 0; i < fleet->rows->len; i++) {
        const FleetRow *row = row_at(fleet, i);
        text_table_cell(table, row->guest);
        text_table_cell_tone(table, fleet_row_tone(row), row->outcome);
        for (unsigned k = 0; k < FLEET_MAX_CELLS; k++)
            text_table_cell(table, row->cells[k]);
        text_table_cell(table, row->because);
    }
    text_table_print(table, stdout, colour);
    printf("\n%s\n", counts);
}

static void print_json(Fleet *fleet)
{
    g_autoptr(GArray) counts = fleet_count(fleet->rows);
    g_autoptr(JsonWriter) writer = json_writer_new();
    size_t length = 0;

    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "schema", RENDER_JSON_SCHEMA);
    json_writer_string(writer, "verb", fleet->verb->name);
    json_writer_begin_object(writer, "summary");
    json_writer_unsigned(writer, "guests", fleet->rows->len);
    json_writer_begin_array(writer, "outcomes");
    for (unsigned i = 0; i < counts->len; i++) {
        const FleetCount *count = &g_array_index(counts, FleetCount, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "outcome", count->outcome);
        json_writer_unsigned(writer, "guests", count->guests);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
    json_writer_integer(writer, "exit-status", fleet_exit_status(fleet->rows));
    json_writer_end_object(writer);
    json_writer_end_object(writer);
    const char *text = json_writer_text(writer, &length);
    emit(fleet, text, length);
    emit(fleet, "\n", 1);
}

int fleet_run(const Verb *verb, Options *options, Interrupt *interrupt)
{
    g_autoptr(Progress) progress = progress_new();
    g_auto(Fleet) fleet = {.verb = verb,
                           .options = options,
                           .targets = options->targets,
                           .interrupt = interrupt,
                           .progress = progress};

    /* Else, where our parent ignores it, nobody is told how a guest's process ended. */
    signal(SIGCHLD, SIG_DFL);
    fleet_init(&fleet);
    run_all(&fleet);
    if (fleet.interrupted && strcmp(verb->name, "freeze") == 0)
        take_back(&fleet);
    progress_clear(progress);
    if (options->json)
        print_json(&fleet);
    else
        print_table(&fleet);
    int status = fleet_exit_status(fleet.rows);
    if (!fleet.output_failed)
        return status;
    verb_complain("cannot write to standard output");
    return status == VERB_EXIT_OK ? VERB_EXIT_ERROR : status;
}
