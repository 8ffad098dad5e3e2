/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/guest-filesystems.h"
#include "prober/json-field.h"
#include "prober/render-json.h"
#include "prober/text-table.h"
#include "prober/verb.h"

#include <stdio.h>

/* What is asked only where the agent offers it; an agent that refuses leaves a gap. */
typedef struct {
    AgentProfile *profile;
    json_object *os_info;
    json_object *host_name;
    GuestFilesystems *filesystems; /* NULL: not told */
} GuestInfo;

static void guest_info_clear(GuestInfo *info)
{
    g_clear_pointer(&info->profile, agent_profile_free);
    json_object_put(info->os_info);
    json_object_put(info->host_name);
    g_clear_pointer(&info->filesystems, guest_filesystems_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(GuestInfo, guest_info_clear)

static bool ask(AgentLink *link, const AgentProfile *profile, const char *command,
                json_object **reply, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!agent_profile_offers(profile, command))
        return true;
    *reply = agent_link_call(link, command, NULL, &problem);
    if (!problem || agent_link_is_answer(problem))
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static bool read_info(AgentLink *link, GuestInfo *info, GError **error)
{
    json_object *filesystems = NULL;

    info->profile = agent_profile_read(link, error);
    bool complete = info->profile &&
                    ask(link, info->profile, "guest-get-osinfo", &info->os_info, error) &&
                    ask(link, info->profile, "guest-get-host-name", &info->host_name, error) &&
                    ask(link, info->profile, "guest-get-fsinfo", &filesystems, error);
    if (json_object_is_type(filesystems, json_type_array))
        info->filesystems = guest_filesystems_new(filesystems);
    json_object_put(filesystems);
    return complete;
}

static void write_names(JsonWriter *writer, const char *name, GHashTable *set)
{
    g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(set), (GCompareFunc)g_strcmp0);

    json_writer_begin_array(writer, name);
    for (GList *item = names; item; item = item->next)
        json_writer_string(writer, NULL, item->data);
    json_writer_end_array(writer);
}

static void write_filesystems(JsonWriter *writer, const GuestFilesystems *guest)
{
    json_writer_begin_array(writer, "filesystems");
    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "mountpoint", filesystem->mount_point);
        json_writer_optional_string(writer, "type", filesystem->fs_type);
        json_writer_optional_string(writer, "name", filesystem->name);
        json_writer_boolean(writer, "freezable", filesystem->freezable);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void print_json(const Options *options, const GuestInfo *info)
{
    JsonWriter *writer = render_json_begin("info", options->target);

    render_json_agent(writer, info->profile);
    json_writer_optional_string(writer, "host-name",
                                json_field_string(info->host_name, "host-name"));
    json_writer_optional_string(writer, "operating-system",
                                json_field_string(info->os_info, "pretty-name"));
    json_writer_optional_string(writer, "kernel",
                                json_field_string(info->os_info, "kernel-release"));
    write_names(writer, "commands", info->profile->enabled);
    write_names(writer, "disabled-commands", info->profile->disabled);
    if (info->filesystems)
        write_filesystems(writer, info->filesystems);
    render_json_end(writer);
}

static void add_row(TextTable *table, const char *label, const char *text)
{
    if (!text)
        return;
    text_table_cell(table, label);
    text_table_cell(table, text);
}

static void print_facts(const GuestInfo *info, bool colour)
{
    static const char *const headings[] = {"", "", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);
    const AgentProfile *profile = info->profile;

    text_table_cell(table, "agent");
    text_table_cell_format(table, "%s %s", agent_profile_kind(profile), profile->version);
    text_table_cell(table, "commands");
    text_table_cell_format(table, "%u offered, %u disabled", g_hash_table_size(profile->enabled),
                           g_hash_table_size(profile->disabled));
    add_row(table, "host name", json_field_string(info->host_name, "host-name"));
    add_row(table, "system", json_field_string(info->os_info, "pretty-name"));
    add_row(table, "kernel", json_field_string(info->os_info, "kernel-release"));
    text_table_print(table, stdout, colour);
}

static void print_filesystems(const GuestFilesystems *guest, bool colour)
{
    static const char *const headings[] = {"mount point", "type", "device", "can be frozen", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        text_table_cell(table, filesystem->mount_point);
        text_table_cell(table, filesystem->fs_type);
        text_table_cell(table, filesystem->name);
        text_table_cell(table, filesystem->freezable ? "yes" : "no");
    }
    printf("\n");
    text_table_print(table, stdout, colour);
}

int verb_info(const Options *options, Interrupt *interrupt)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_auto(GuestInfo) info = {NULL};
    g_autoptr(GError) error = NULL;
    bool colour = terminal_text_wants_colour(stdout);

    agent_link_set_interrupt_fd(link, interrupt_fd(interrupt));
    if (!read_info(link, &info, &error))
        return verb_fail("info", options, error);
    if (options->json) {
        print_json(options, &info);
        return VERB_EXIT_OK;
    }
    print_facts(&info, colour);
    if (info.filesystems)
        print_filesystems(info.filesystems, colour);
    return VERB_EXIT_OK;
}
