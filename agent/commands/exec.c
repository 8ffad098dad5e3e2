/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/guest-processes.h"
#include "agent/log.h"

#include <sys/wait.h>

/* Programs that the host runs in the guest. */

#define TOPIC "exec"

static const char *const capture_modes[] = {"none",      "stdout", "stderr",
                                            "separated", "merged", NULL};
static const GuestProcessOutput outputs_of_modes[] = {
    0,
    GUEST_PROCESS_KEEP_OUTPUT,
    GUEST_PROCESS_KEEP_ERROR,
    GUEST_PROCESS_KEEP_OUTPUT | GUEST_PROCESS_KEEP_ERROR,
    GUEST_PROCESS_KEEP_OUTPUT | GUEST_PROCESS_MERGE,
};

static const Argument capture_variants[] = {
    ARGUMENT("flag", ARGUMENT_BOOLEAN, REQUIRED, ArgumentAlternate, boolean),
    ARGUMENT_ENUM_OF("mode", REQUIRED, ArgumentAlternate, enumeration, capture_modes),
    ARGUMENT_END,
};

typedef struct {
    char *path;
    char **arg;
    char **env;
    ArgumentBytes input_data;
    ArgumentAlternate capture_output;
} ExecArguments;

static const Argument exec_arguments[] = {
    ARGUMENT("path", ARGUMENT_STRING, REQUIRED, ExecArguments, path),
    ARGUMENT("arg", ARGUMENT_STRINGS, OPTIONAL, ExecArguments, arg),
    ARGUMENT("env", ARGUMENT_STRINGS, OPTIONAL, ExecArguments, env),
    ARGUMENT("input-data", ARGUMENT_BASE64, OPTIONAL, ExecArguments, input_data),
    ARGUMENT_ALTERNATE_OF("capture-output", OPTIONAL, ExecArguments, capture_output,
                          "GuestExecCaptureOutput", capture_variants),
    ARGUMENT_END,
};

static GuestProcessOutput wanted_output(const ArgumentAlternate *capture)
{
    if (!capture->variant)
        return 0;
    if (capture->variant->type == ARGUMENT_ENUM)
        return outputs_of_modes[capture->enumeration];
    return capture->boolean ? GUEST_PROCESS_KEEP_OUTPUT | GUEST_PROCESS_KEEP_ERROR : 0;
}

static GError *exec_error(const char *path, const GError *cause)
{
    return g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "cannot run '%s': %s", path,
                       cause->message);
}

typedef struct {
    CommandCall *call;
    char *path;
} Starting;

static void answer_start(pid_t pid, const GError *error, void *user_data)
{
    Starting *starting = user_data;
    GError *reported = error ? exec_error(starting->path, error) : NULL;

    if (!error) {
        JsonWriter *reply = command_call_reply(starting->call);
        log_info(TOPIC, "%s runs as process %d", starting->path, (int)pid);
        json_writer_begin_object(reply, "return");
        json_writer_integer(reply, "pid", pid);
        json_writer_end_object(reply);
    }
    command_call_finish(starting->call, reported);
    g_free(starting->path);
    g_free(starting);
}

static char **full_argv(const ExecArguments *exec)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    g_strv_builder_add(builder, exec->path);
    for (char **word = exec->arg; word && *word; word++)
        g_strv_builder_add(builder, *word);
    return g_strv_builder_end(builder);
}

static void start_exec(Agent *agent, const void *arguments, CommandCall *call)
{
    const ExecArguments *exec = arguments;
    g_auto(GStrv) argv = full_argv(exec);
    g_autoptr(GError) error = NULL;
    Starting *starting = g_new0(Starting, 1);
    GuestProcessOptions options = {
        .argv = (const char *const *)argv,
        .environment = (const char *const *)exec->env,
        .input = exec->input_data.bytes ? g_memdup2(exec->input_data.bytes, exec->input_data.length)
                                        : NULL,
        .input_bytes = exec->input_data.length,
        .output = wanted_output(&exec->capture_output),
    };

    starting->call = call;
    starting->path = g_strdup(exec->path);
    if (!guest_processes_start(agent->guest_processes, &options, answer_start, starting, &error))
        answer_start(0, error, starting);
}

typedef struct {
    int64_t pid;
} StatusArguments;

static const Argument status_arguments[] = {
    ARGUMENT("pid", ARGUMENT_INTEGER, REQUIRED, StatusArguments, pid),
    ARGUMENT_END,
};

static void write_stream(JsonWriter *reply, const char *data_name, const char *truncated_name,
                         const uint8_t *bytes, size_t length, bool truncated)
{
    if (length == 0)
        return;
    json_writer_base64(reply, data_name, bytes, length);
    json_writer_boolean(reply, truncated_name, truncated);
}

static void write_end(JsonWriter *reply, const GuestProcessState *state)
{
    if (WIFEXITED(state->wait_status))
        json_writer_integer(reply, "exitcode", WEXITSTATUS(state->wait_status));
    else if (WIFSIGNALED(state->wait_status))
        json_writer_integer(reply, "signal", WTERMSIG(state->wait_status));
    write_stream(reply, "out-data", "out-truncated", state->output, state->output_bytes,
                 state->output_truncated);
    write_stream(reply, "err-data", "err-truncated", state->error, state->error_bytes,
                 state->error_truncated);
}

static bool run_status(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const StatusArguments *status = arguments;
    GuestProcessState state;

    if (!guest_processes_look(agent->guest_processes, status->pid, &state, error))
        return false;
    json_writer_begin_object(reply, "return");
    json_writer_boolean(reply, "exited", state.ended);
    if (state.ended)
        write_end(reply, &state);
    json_writer_end_object(reply);
    if (state.ended)
        guest_processes_forget(agent->guest_processes, status->pid);
    return true;
}

const Command exec_commands[] = {
    {.name = "guest-exec",
     .arguments = exec_arguments,
     .arguments_size = sizeof(ExecArguments),
     .start = start_exec},
    {.name = "guest-exec-status",
     .arguments = status_arguments,
     .arguments_size = sizeof(StatusArguments),
     .run = run_status},
    {.name = NULL},
};
