/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/agent.h"
#include "agent/canary-run.h"
#include "agent/channel.h"
#include "agent/config.h"
#include "agent/daemonize.h"
#include "agent/dispatch.h"
#include "agent/file-handles.h"
#include "agent/freeze-engine.h"
#include "agent/guest-processes.h"
#include "agent/log.h"
#include "agent/pid-file.h"
#include "agent/readiness.h"
#include "agent/show-plan.h"
#include "agent/signals.h"
#include "build-config.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPIC "main"

static LogSink choose_sink(const Config *config)
{
    if (config->log_file == NULL)
        return config->daemonize ? LOG_SINK_SYSLOG : LOG_SINK_STDERR;
    return g_str_equal(config->log_file, CONFIG_LOG_SYSLOG) ? LOG_SINK_SYSLOG : LOG_SINK_FILE;
}

static bool open_log(const Config *config, GError **error)
{
    LogOptions options = {
        .sink = choose_sink(config),
        .path = choose_sink(config) == LOG_SINK_FILE ? config->log_file : NULL,
        .max_bytes = config->log_max_bytes,
        .level = config->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
    };
    return log_open(&options, error);
}

/* The order matters: what comes later is undone first, and the freezer process is forked before
 * anything that it must not inherit. */
static bool serve(const Config *config, Daemonize *background, GError **error)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(Signals) signals = signals_new(loop, error);
    if (signals == NULL)
        return false;
    g_autoptr(PidFile) pid_file = pid_file_new(config->pid_file, error);
    if (pid_file == NULL)
        return false;
    g_autoptr(FreezeEngine) engine = freeze_engine_new(config, error);
    if (engine == NULL)
        return false;
    g_autoptr(FileHandles) files = file_handles_new();
    g_autoptr(GuestProcesses) processes = guest_processes_new();
    g_autoptr(CanaryRun) canary_run = canary_run_new();
    Agent agent = {.loop = loop,
                   .config = config,
                   .freeze_engine = engine,
                   .canary_run = canary_run,
                   .file_handles = files,
                   .guest_processes = processes};
    g_autoptr(Dispatch) dispatch = dispatch_new(&agent);
    agent.dispatch = dispatch;
    g_autoptr(Channel) channel = channel_new(&agent, error);
    if (channel == NULL)
        return false;

    log_attach();
    log_info(TOPIC, "quiesced %s is ready", QUIESCED_VERSION);
    daemonize_ready(background);
    readiness_notify_ready();
    g_main_loop_run(loop);
    readiness_notify_stopping();

    if (channel_error(channel) != NULL) {
        g_propagate_error(error, g_error_copy(channel_error(channel)));
        return false;
    }
    return true;
}

static int run(const Config *config)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Daemonize) background = NULL;
    bool has_log = open_log(config, &error);
    bool ok = has_log &&
              ((background = daemonize(config->daemonize, &error)) != NULL || error == NULL) &&
              serve(config, background, &error);
    if (!ok)
        log_error(TOPIC, "%s", error->message);
    /* A log that did not open is standard error. */
    if (!ok && has_log && choose_sink(config) != LOG_SINK_STDERR)
        daemonize_failed(background, error->message);
    log_close();
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_version(const Config *config)
{
    printf("quiesced %s\n", QUIESCED_VERSION);
    return EXIT_SUCCESS;
}

static int print_help(const Config *config)
{
    config_print_help(g_get_prgname());
    return EXIT_SUCCESS;
}

static int dump(const Config *config)
{
    config_print(config);
    return EXIT_SUCCESS;
}

static int list_commands(const Config *config)
{
    dispatch_print_commands();
    return EXIT_SUCCESS;
}

static int print_plan(const Config *config)
{
    g_autoptr(GError) error = NULL;
    if (show_plan(config, &error))
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: %s\n", g_get_prgname(), error->message);
    return EXIT_FAILURE;
}

static int (*const actions[])(const Config *config) = {
    [CONFIG_ACTION_RUN] = run,
    [CONFIG_ACTION_VERSION] = print_version,
    [CONFIG_ACTION_HELP] = print_help,
    [CONFIG_ACTION_DUMP] = dump,
    [CONFIG_ACTION_LIST_COMMANDS] = list_commands,
    [CONFIG_ACTION_SHOW_PLAN] = print_plan,
    [CONFIG_ACTION_THAW] = freeze_engine_recover,
};

int main(int argc, char **argv)
{
    g_autofree char *program = g_path_get_basename(argv[0]);
    g_set_prgname(program);

    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = config_load(argc, argv, &error);
    if (config == NULL) {
        fprintf(stderr, "%s: %s\n", program, error->message);
        return EXIT_FAILURE;
    }
    return actions[config->action](config);
}
