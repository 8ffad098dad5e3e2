/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/guest-window.h"
#include "prober/json-field.h"
#include "prober/render-json.h"
#include "prober/text-table.h"
#include "prober/verb.h"

#include <stdio.h>

/* The reply of quiesce-status, or of guest-fsfreeze-status, which is the bare state. */
static json_object *ask(AgentLink *link, const AgentProfile *profile, GError **error)
{
    const char *command = agent_profile_offers(profile, "quiesce-status") ? "quiesce-status"
                                                                          : "guest-fsfreeze-status";

    return agent_link_call(link, command, NULL, error);
}

static const char *state_of(json_object *reply)
{
    if (json_object_is_type(reply, json_type_string))
        return json_object_get_string(reply);
    const char *state = json_field_string(reply, "state");
    return state ? state : "unknown";
}

static void print_json(const Options *options, const AgentProfile *profile, json_object *reply)
{
    JsonWriter *writer = render_json_begin("status", options->target);
    json_object *filesystems = json_field_array(reply, "filesystems");
    double left_ms;

    render_json_agent(writer, profile);
    json_writer_string(writer, "state", state_of(reply));
    if (json_field_number(reply, "hold-left-ms", &left_ms))
        json_writer_number(writer, "hold-left-ms", left_ms);
    if (filesystems)
        json_writer_value(writer, "filesystems", filesystems);
    render_json_end(writer);
}

static void print_filesystems(json_object *list, bool colour)
{
    static const char *const headings[] = {"mount point", "type", "device", "state", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (size_t i = 0; i < json_field_length(list, GUEST_WINDOW_MAX_LIST); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        text_table_cell(table, json_field_string(element, "mountpoint"));
        text_table_cell(table, json_field_string(element, "type"));
        text_table_cell(table, json_field_string(element, "device"));
        text_table_cell(table, json_field_string(element, "outcome"));
    }
    if (text_table_rows(table) == 0)
        return;
    printf("\n");
    text_table_print(table, stdout, colour);
}

static void print_table(json_object *reply)
{
    g_autofree char *state = terminal_text_escape(state_of(reply));
    double left_ms;

    printf("state     %s\n", state);
    if (json_field_number(reply, "hold-left-ms", &left_ms))
        printf("left      thaws by itself in %.1f s\n", left_ms / 1000);
    print_filesystems(json_field_array(reply, "filesystems"), terminal_text_wants_colour(stdout));
}

int verb_status(const Options *options, Interrupt *interrupt)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_autoptr(GError) error = NULL;

    agent_link_set_interrupt_fd(link, interrupt_fd(interrupt));
    g_autoptr(AgentProfile) profile = agent_profile_read(link, &error);
    json_object *reply = profile ? ask(link, profile, &error) : NULL;
    if (error)
        return verb_fail("status", options, error);
    if (options->json)
        print_json(options, profile, reply);
    else
        print_table(reply);
    json_object_put(reply);
    return VERB_EXIT_OK;
}
