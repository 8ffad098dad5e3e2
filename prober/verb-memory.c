/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* history and log: what the agent remembers. */
#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/history-record.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"
#include "prober/render-json.h"
#include "prober/text-table.h"
#include "prober/verb.h"

#include <stdio.h>

/* What is asked for, and where it is in the reply. */
typedef struct {
    const char *verb;
    const char *command;
    const char *argument; /* how many of them */
    const char *member;   /* the array of them */
    void (*print)(json_object *list);
} Memory;

static json_object *ask(AgentLink *link, const Memory *memory, unsigned count, GError **error)
{
    json_object *arguments = json_object_new_object();

    if (count > 0)
        json_object_object_add(arguments, memory->argument, json_object_new_int64(count));
    json_object *reply = agent_link_call(link, memory->command, arguments, error);
    json_object_put(arguments);
    return reply;
}

/* The array, borrowed from the reply. */
static json_object *list_in(json_object *reply, const Memory *memory, GError **error)
{
    json_object *list = json_field_array(reply, memory->member);

    if (!list)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST, "%s was answered without '%s'",
                    memory->command, memory->member);
    return list;
}

static void print_json(const Options *options, const AgentProfile *profile, const Memory *memory,
                       json_object *list)
{
    JsonWriter *writer = render_json_begin(memory->verb, options->target);

    render_json_agent(writer, profile);
    json_writer_value(writer, memory->member, list);
    render_json_end(writer);
}

static int show(const Options *options, Interrupt *interrupt, const Memory *memory)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_autoptr(GError) error = NULL;

    agent_link_set_interrupt_fd(link, interrupt_fd(interrupt));
    g_autoptr(AgentProfile) profile = agent_profile_read(link, &error);
    if (!profile || !agent_profile_require(profile, memory->command, &error))
        return verb_fail(memory->verb, options, error);
    json_object *reply = ask(link, memory, options->count, &error);
    json_object *list = error ? NULL : list_in(reply, memory, &error);
    if (list && options->json)
        print_json(options, profile, memory, list);
    else if (list)
        memory->print(list);
    json_object_put(reply);
    return list ? VERB_EXIT_OK : verb_fail(memory->verb, options, error);
}

/* ---- history ---- */

/* quiesced keeps 64; a guest that sends a million is not given the screen. */
#define MAX_ROWS 256

static void add_window(TextTable *table, json_object *window)
{
    static const TerminalTone tones[] = {
        [HISTORY_INTACT] = TERMINAL_GOOD,
        [HISTORY_BROKEN] = TERMINAL_BAD,
        [HISTORY_FAILED] = TERMINAL_BAD,
        [HISTORY_EMPTY] = TERMINAL_DOUBT,
    };
    HistoryRecord record = history_record_read(window);
    g_autofree char *when = history_record_time(record.began_at_us);

    text_table_cell(table, when);
    text_table_cell(table, record.command);
    if (record.filesystems < 0)
        text_table_cell(table, "");
    else
        text_table_cell_format(table, "%" G_GINT64_FORMAT, record.filesystems);
    text_table_cell_duration(table, record.held_ms);
    text_table_cell_tone(table, tones[record.end], history_end_name(record.end));
    text_table_cell(table, record.reason);
}

static void print_history(json_object *list)
{
    static const char *const headings[] = {
        "when (UTC)", "who froze", ">filesystems", ">held", "window", "because", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (size_t i = 0; i < json_field_length(list, MAX_ROWS); i++)
        add_window(table, json_object_array_get_idx(list, i));
    if (text_table_rows(table) > 0)
        text_table_print(table, stdout, terminal_text_wants_colour(stdout));
    else
        printf("nothing has been frozen yet\n");
}

int verb_history(const Options *options, Interrupt *interrupt)
{
    static const Memory memory = {"history", "quiesce-history", "count", "windows", print_history};

    return show(options, interrupt, &memory);
}

/* ---- log ---- */

static void print_log(json_object *list)
{
    for (size_t i = 0; i < json_field_length(list, OPTIONS_MAX_COUNT); i++) {
        json_object *line = json_object_array_get_idx(list, i);
        g_autofree char *text = terminal_text_escape(
            json_object_is_type(line, json_type_string) ? json_object_get_string(line) : NULL);
        printf("%s\n", text);
    }
}

int verb_log(const Options *options, Interrupt *interrupt)
{
    static const Memory memory = {"log", "quiesce-log", "lines", "lines", print_log};

    return show(options, interrupt, &memory);
}
