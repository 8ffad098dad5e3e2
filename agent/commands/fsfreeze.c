/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guest-fsfreeze-*: thin wrappers over the freeze engine, with qemu-ga's interface. */
#include "agent/command.h"
#include "agent/freeze-engine.h"

typedef struct {
    char **mountpoints;
} FreezeListArguments;

static const Argument freeze_list_arguments[] = {
    ARGUMENT("mountpoints", ARGUMENT_STRINGS, OPTIONAL, FreezeListArguments, mountpoints),
    ARGUMENT_END,
};

static bool run_status(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    bool thawed = freeze_engine_state(agent->freeze_engine) == FREEZE_STATE_THAWED;

    json_writer_string(reply, "return", thawed ? "thawed" : "frozen");
    return true;
}

static void reply_count(CommandCall *call, unsigned count, const GError *error)
{
    if (!error)
        json_writer_integer(command_call_reply(call), "return", count);
    command_call_finish(call, error ? g_error_copy(error) : NULL);
}

static void freeze_done(const FreezeWindow *window, const GError *error, void *user_data)
{
    reply_count(user_data, window ? freeze_window_count(window, FREEZE_FROZEN) : 0, error);
}

static void thaw_done(const FreezeWindow *window, const GError *error, void *user_data)
{
    reply_count(user_data, window ? freeze_window_count(window, FREEZE_THAWED) : 0, error);
}

static void start_freeze_of(Agent *agent, const char *command, char **mount_points,
                            CommandCall *call)
{
    FreezeRequest request = {
        .command = command,
        .mount_points = (const char *const *)mount_points,
        .options = freeze_engine_options(agent->freeze_engine),
    };

    freeze_engine_freeze(agent->freeze_engine, &request, freeze_done, call);
}

static void start_freeze(Agent *agent, const void *arguments, CommandCall *call)
{
    start_freeze_of(agent, "guest-fsfreeze-freeze", NULL, call);
}

static void start_freeze_list(Agent *agent, const void *arguments, CommandCall *call)
{
    const FreezeListArguments *given = arguments;

    start_freeze_of(agent, "guest-fsfreeze-freeze-list", given->mountpoints, call);
}

static void start_thaw(Agent *agent, const void *arguments, CommandCall *call)
{
    freeze_engine_thaw(agent->freeze_engine, "guest-fsfreeze-thaw", false, thaw_done, call);
}

const Command fsfreeze_commands[] = {
    {"guest-fsfreeze-status", NULL, 0, run_status, NULL, COMMAND_WHILE_FROZEN},
    {"guest-fsfreeze-freeze", NULL, 0, NULL, start_freeze, COMMAND_NOTED},
    {"guest-fsfreeze-freeze-list", freeze_list_arguments, sizeof(FreezeListArguments), NULL,
     start_freeze_list, COMMAND_NOTED},
    {"guest-fsfreeze-thaw", NULL, 0, NULL, start_thaw, COMMAND_WHILE_FROZEN | COMMAND_NOTED},
    {NULL},
};
