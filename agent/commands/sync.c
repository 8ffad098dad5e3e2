/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/dispatch.h"

#include "build-config.h"

/* The commands by which a host finds out whether, and with whom, it talks. */

typedef struct {
    int64_t id;
} SyncArguments;

static const Argument sync_arguments[] = {
    ARGUMENT("id", ARGUMENT_INTEGER, REQUIRED, SyncArguments, id),
    ARGUMENT_END,
};

static bool run_sync(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const SyncArguments *sync = arguments;
    json_writer_integer(reply, "return", sync->id);
    return true;
}

static bool run_ping(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    json_writer_begin_object(reply, "return");
    json_writer_end_object(reply);
    return true;
}

static void write_command(const Command *command, bool enabled, void *user_data)
{
    JsonWriter *reply = user_data;
    json_writer_begin_object(reply, NULL);
    json_writer_string(reply, "name", command->name);
    json_writer_boolean(reply, "enabled", enabled);
    json_writer_boolean(reply, "success-response",
                        (command->flags & COMMAND_NO_SUCCESS_REPLY) == 0);
    json_writer_end_object(reply);
}

static bool run_info(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    json_writer_begin_object(reply, "return");
    json_writer_string(reply, "version", QUIESCED_VERSION);
    json_writer_begin_array(reply, "supported_commands");
    dispatch_foreach(write_command, agent->dispatch, reply);
    json_writer_end_array(reply);
    json_writer_end_object(reply);
    return true;
}

const Command sync_commands[] = {
    {.name = "guest-sync",
     .arguments = sync_arguments,
     .arguments_size = sizeof(SyncArguments),
     .run = run_sync,
     .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-sync-delimited",
     .arguments = sync_arguments,
     .arguments_size = sizeof(SyncArguments),
     .run = run_sync,
     .flags = COMMAND_WHILE_FROZEN | COMMAND_DELIMITED_REPLY},
    {.name = "guest-ping", .run = run_ping, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-info", .run = run_info, .flags = COMMAND_WHILE_FROZEN},
    {.name = NULL},
};
