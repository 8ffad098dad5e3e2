/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/dispatch.h"

#include "agent/command-table.h"
#include "agent/config.h"
#include "agent/freeze-engine.h"
#include "agent/log.h"
#include "agent/transcript.h"
#include "protocol/excerpt.h"
#include "protocol/protocol-error.h"
#include "protocol/request.h"

#include <stdio.h>
#include <string.h>

#define TOPIC "command"
#define DELIMITER 0xFF

static const Command *const families[] = {
    sync_commands,   time_commands,  os_commands,   fsinfo_commands,  fsfreeze_commands,
    file_commands,   exec_commands,  cpu_commands,  ssh_commands,     user_commands,
    fstrim_commands, power_commands, disk_commands, network_commands, quiesce_commands,
    canary_commands, NULL,
};

struct Dispatch {
    Agent *agent;
    CommandTable *table;
    GHashTable *calls; /* set of CommandCall under way */
};

struct CommandCall {
    Dispatch *dispatch; /* NULL once that is gone */
    const Command *command;
    void *arguments;
    JsonWriter *reply;
    bool has_id;
    json_object *id;
    char *peer;
    int64_t start_time_us; /* monotonic */
    DispatchDone done;
    void *user_data;
};

static void restrict_table(CommandTable *table, const Config *config)
{
    g_auto(GStrv) unknown = command_table_restrict(table, (const char *const *)config->block_rpcs,
                                                   (const char *const *)config->allow_rpcs);
    for (char **name = unknown; *name != NULL; name++)
        log_warning("config",
                    "the lists of blocked and allowed commands name %s, which is no "
                    "command of this agent (--block-rpcs=help lists them)",
                    *name);
}

Dispatch *dispatch_new(Agent *agent)
{
    return dispatch_new_with_families(agent, families);
}

Dispatch *dispatch_new_with_families(Agent *agent, const Command *const *families_used)
{
    Dispatch *dispatch = g_new0(Dispatch, 1);
    dispatch->agent = agent;
    dispatch->table = command_table_new(families_used);
    dispatch->calls = g_hash_table_new(NULL, NULL);
    if (agent->config != NULL)
        restrict_table(dispatch->table, agent->config);
    return dispatch;
}

void dispatch_free(Dispatch *dispatch)
{
    GHashTableIter iter;
    gpointer call;

    if (dispatch == NULL)
        return;
    g_hash_table_iter_init(&iter, dispatch->calls);
    while (g_hash_table_iter_next(&iter, &call, NULL))
        ((CommandCall *)call)->dispatch = NULL;
    g_hash_table_unref(dispatch->calls);
    command_table_free(dispatch->table);
    g_free(dispatch);
}

static bool is_frozen(const Dispatch *dispatch)
{
    const FreezeEngine *engine = dispatch->agent->freeze_engine;
    return engine != NULL && freeze_engine_state(engine) != FREEZE_STATE_THAWED;
}

/* The text becomes the line without being copied: it may be tens of megabytes. */
static GBytes *finish_line(JsonWriter *writer, bool delimited)
{
    const guint8 newline = '\n';
    const guint8 delimiter = DELIMITER;
    GByteArray *line = g_bytes_unref_to_array(json_writer_steal(writer));
    g_byte_array_append(line, &newline, 1);
    if (delimited)
        g_byte_array_prepend(line, &delimiter, 1);
    return g_byte_array_free_to_bytes(line);
}

static GBytes *error_line(const GError *error, bool has_id, json_object *id)
{
    g_autoptr(JsonWriter) writer = json_writer_new();
    json_writer_begin_object(writer, NULL);
    if (has_id)
        json_writer_value(writer, "id", id);
    json_writer_begin_object(writer, "error");
    json_writer_string(writer, "class", protocol_error_class(error));
    json_writer_string(writer, "desc", error->message);
    json_writer_end_object(writer);
    json_writer_end_object(writer);
    return finish_line(writer, false);
}

GBytes *dispatch_error_reply(const GError *error)
{
    return error_line(error, false, NULL);
}

static GBytes *success_line(CommandCall *call)
{
    if (call->has_id)
        json_writer_value(call->reply, "id", call->id);
    json_writer_end_object(call->reply);
    if (call->command->flags & COMMAND_NO_SUCCESS_REPLY)
        return NULL;
    return finish_line(call->reply, (call->command->flags & COMMAND_DELIMITED_REPLY) != 0);
}

static void log_reply(const char *peer, GBytes *line)
{
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    size_t length = 0;
    const char *bytes = line != NULL ? g_bytes_get_data(line, &length) : "(no reply)";
    g_autofree char *text = transcript_reply(bytes, line != NULL ? length : strlen(bytes));
    log_debug(TOPIC, "%s <- %s", peer, text);
}

static void log_request(const char *peer, json_object *value, const Command *command)
{
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    bool hide = command == NULL || (command->flags & COMMAND_SECRET_ARGUMENTS) != 0;
    g_autofree char *text = transcript_request(value, hide);
    log_debug(TOPIC, "%s -> %s", peer, text);
}

static void log_end(const CommandCall *call, const GError *error)
{
    if ((call->command->flags & COMMAND_NOTED) == 0)
        return;
    double duration_ms = (double)(g_get_monotonic_time() - call->start_time_us) / 1000;
    log_info(TOPIC, "%s from %s ended after %.1f ms: %s", call->command->name, call->peer,
             duration_ms, error != NULL ? error->message : "ok");
}

static void call_free(CommandCall *call)
{
    if (call->arguments != NULL)
        arguments_clear(call->command->arguments, call->arguments);
    g_free(call->arguments);
    json_writer_free(call->reply);
    json_object_put(call->id);
    g_free(call->peer);
    g_free(call);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandCall, call_free)

JsonWriter *command_call_reply(CommandCall *call)
{
    return call->reply;
}

static void answer(CommandCall *call, const GError *error)
{
    g_hash_table_remove(call->dispatch->calls, call);
    g_autoptr(GBytes) line =
        error != NULL ? error_line(error, call->has_id, call->id) : success_line(call);
    log_reply(call->peer, line);
    call->done(line, call->user_data);
}

void command_call_finish(CommandCall *call, GError *error)
{
    log_end(call, error);
    if (call->dispatch != NULL)
        answer(call, error);
    else
        call->done(NULL, call->user_data);
    g_clear_error(&error);
    call_free(call);
}

static CommandCall *call_new(Dispatch *dispatch, const Command *command, const Request *request,
                             const char *peer)
{
    CommandCall *call = g_new0(CommandCall, 1);
    call->dispatch = dispatch;
    call->command = command;
    call->reply = json_writer_new();
    call->has_id = request->has_id;
    call->id = json_object_get(request->id);
    call->peer = g_strdup(peer);
    call->start_time_us = g_get_monotonic_time();
    json_writer_begin_object(call->reply, NULL);
    return call;
}

static void run(Dispatch *dispatch, CommandCall *call)
{
    const Command *command = call->command;
    g_hash_table_add(dispatch->calls, call);
    if (command->flags & COMMAND_NOTED)
        log_info(TOPIC, "%s from %s", command->name, call->peer);
    if (command->start != NULL) {
        command->start(dispatch->agent, call->arguments, call);
        return;
    }
    GError *error = NULL;
    command->run(dispatch->agent, call->arguments, call->reply, &error);
    command_call_finish(call, error);
}

/* The call, ready to run, or NULL with the error that is the reply. */
static CommandCall *prepare(Dispatch *dispatch, const Command *command, const Request *request,
                            const char *peer, GError **error)
{
    if (command == NULL) {
        g_autofree char *name =
            excerpt_new(request->command, strlen(request->command), EXCERPT_NAME_CHARACTERS);
        g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND,
                    "The command %s has not been found", name);
        return NULL;
    }
    if (!command_table_permits(dispatch->table, command, is_frozen(dispatch), error))
        return NULL;
    g_autoptr(CommandCall) call = call_new(dispatch, command, request, peer);
    call->arguments = g_malloc0(MAX(command->arguments_size, 1));
    if (!arguments_parse(command->arguments, request->arguments, call->arguments,
                         command->arguments_size, error))
        return NULL;
    return g_steal_pointer(&call);
}

void dispatch_request(Dispatch *dispatch, json_object *value, const char *peer, DispatchDone done,
                      void *user_data)
{
    Request request = {0};
    g_autoptr(GError) error = NULL;
    CommandCall *call = NULL;
    const Command *command = NULL;

    bool valid = request_parse(value, &request, &error);
    if (valid)
        command = command_table_find(dispatch->table, request.command);
    log_request(peer, value, command);
    if (valid)
        call = prepare(dispatch, command, &request, peer, &error);
    if (call == NULL) {
        g_autoptr(GBytes) line = error_line(error, request.has_id, request.id);
        json_object_put(value);
        log_reply(peer, line);
        done(line, user_data);
        return;
    }
    json_object_put(value);
    call->done = done;
    call->user_data = user_data;
    run(dispatch, call);
}

void dispatch_foreach(void (*visit)(const Command *command, bool enabled, void *user_data),
                      const Dispatch *dispatch, void *user_data)
{
    bool frozen = is_frozen(dispatch);
    for (unsigned i = 0; i < command_table_length(dispatch->table); i++) {
        const Command *command = command_table_get(dispatch->table, i);
        visit(command, command_table_permits(dispatch->table, command, frozen, NULL), user_data);
    }
}

void dispatch_print_commands(void)
{
    for (const Command *const *family = families; *family != NULL; family++)
        for (const Command *command = *family; command->name != NULL; command++)
            puts(command->name);
}
