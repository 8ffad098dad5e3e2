/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* quiesce-*: the freeze engine with all it knows; docs/extension-protocol.md. */
#include "agent/command.h"
#include "agent/freeze-engine.h"
#include "agent/freeze-history.h"
#include "agent/freeze-report.h"
#include "agent/log.h"

typedef struct {
    char **mountpoints;
    int64_t presync_timeout_ms;
    int64_t freeze_timeout_ms;
    int64_t hold_timeout_ms;
    bool has_presync_timeout;
    bool has_freeze_timeout;
    bool has_hold_timeout;
    bool canary;
} FreezeArguments;

static const Argument freeze_arguments[] = {
    ARGUMENT("mountpoints", ARGUMENT_STRINGS, OPTIONAL, FreezeArguments, mountpoints),
    ARGUMENT_WITH_PRESENCE("presync-timeout-ms", ARGUMENT_INTEGER, FreezeArguments,
                           presync_timeout_ms, has_presync_timeout),
    ARGUMENT_WITH_PRESENCE("freeze-timeout-ms", ARGUMENT_INTEGER, FreezeArguments,
                           freeze_timeout_ms, has_freeze_timeout),
    ARGUMENT_WITH_PRESENCE("hold-timeout-ms", ARGUMENT_INTEGER, FreezeArguments, hold_timeout_ms,
                           has_hold_timeout),
    ARGUMENT("canary", ARGUMENT_BOOLEAN, OPTIONAL, FreezeArguments, canary),
    ARGUMENT_END,
};

/* A day: longer than any snapshot takes, and no product with 1000 overflows. */
#define MAX_TIMEOUT_MS (24LL * 3600 * 1000)

/* ---- quiesce-freeze ---- */

static void freeze_done(const FreezeWindow *window, const GError *error, void *user_data)
{
    CommandCall *call = user_data;

    if (!error)
        freeze_report_write_freeze(command_call_reply(call), "return", window);
    command_call_finish(call, error ? g_error_copy(error) : NULL);
}

/* A host may shorten what the administrator allows, but not stretch it. */
static void cap_hold(int64_t *timeout_us, int64_t configured_us)
{
    if (configured_us != 0 && (*timeout_us == 0 || *timeout_us > configured_us))
        *timeout_us = configured_us;
}

static bool set_timeout(int64_t *timeout_us, bool given, int64_t value_ms, const char *name,
                        GError **error)
{
    if (!given)
        return true;
    if (value_ms < 0 || value_ms > MAX_TIMEOUT_MS) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter '%s' is out of range: %" G_GINT64_FORMAT
                    " (0, no limit, to %lld milliseconds)",
                    name, value_ms, MAX_TIMEOUT_MS);
        return false;
    }
    *timeout_us = value_ms * 1000;
    return true;
}

static void start_freeze(Agent *agent, const void *arguments, CommandCall *call)
{
    const FreezeArguments *given = arguments;
    GError *error = NULL;
    FreezeRequest request = {
        .command = "quiesce-freeze",
        .mount_points = (const char *const *)given->mountpoints,
        .options = freeze_engine_options(agent->freeze_engine),
        .canary = given->canary,
    };

    if (set_timeout(&request.options.presync_timeout_us, given->has_presync_timeout,
                    given->presync_timeout_ms, "presync-timeout-ms", &error) &&
        set_timeout(&request.options.freeze_timeout_us, given->has_freeze_timeout,
                    given->freeze_timeout_ms, "freeze-timeout-ms", &error) &&
        set_timeout(&request.options.hold_timeout_us, given->has_hold_timeout,
                    given->hold_timeout_ms, "hold-timeout-ms", &error)) {
        cap_hold(&request.options.hold_timeout_us,
                 freeze_engine_options(agent->freeze_engine).hold_timeout_us);
        freeze_engine_freeze(agent->freeze_engine, &request, freeze_done, call);
    } else {
        command_call_finish(call, error);
    }
}

/* ---- quiesce-thaw ---- */

static void thaw_done(const FreezeWindow *window, const GError *error, void *user_data)
{
    CommandCall *call = user_data;

    if (!error)
        freeze_report_write_thaw(command_call_reply(call), "return", window);
    command_call_finish(call, error ? g_error_copy(error) : NULL);
}

static void start_thaw(Agent *agent, const void *arguments, CommandCall *call)
{
    freeze_engine_thaw(agent->freeze_engine, "quiesce-thaw", true, thaw_done, call);
}

/* ---- quiesce-status ---- */

/* While frozen since the freeze was complete, before since it began, after since the thaw. */
static int64_t state_since(const FreezeWindow *window, FreezeState state)
{
    const FreezeBoard *board = window->board;

    if (!board || state == FREEZE_STATE_FREEZING)
        return window->began_at;
    if (state == FREEZE_STATE_FROZEN)
        return board->frozen_at;
    return state == FREEZE_STATE_THAWED ? board->thawed_at : board->thawing_at;
}

static bool run_status(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    FreezeState state = freeze_engine_state(agent->freeze_engine);
    const FreezeWindow *window = freeze_engine_window(agent->freeze_engine);

    json_writer_begin_object(reply, "return");
    json_writer_string(reply, "state", freeze_state_name(state));
    if (window)
        freeze_report_write_moment(reply, "since-at-us", window, state_since(window, state));
    freeze_report_write_duration(reply, "hold-left-ms",
                                 freeze_engine_hold_left_us(agent->freeze_engine));
    freeze_report_write_current(reply, "filesystems", window, state == FREEZE_STATE_THAWED);
    json_writer_end_object(reply);
    return true;
}

/* ---- quiesce-history and quiesce-log ---- */

typedef struct {
    int64_t count;
    bool has_count;
} TailArguments;

static const Argument history_arguments[] = {
    ARGUMENT_WITH_PRESENCE("count", ARGUMENT_INTEGER, TailArguments, count, has_count),
    ARGUMENT_END,
};

static const Argument log_arguments[] = {
    ARGUMENT_WITH_PRESENCE("lines", ARGUMENT_INTEGER, TailArguments, count, has_count),
    ARGUMENT_END,
};

#define DEFAULT_LOG_LINES 100
#define MAX_LOG_LINES 10000

static bool check_count(const TailArguments *given, const char *name, unsigned preset,
                        unsigned maximum, unsigned *count, GError **error)
{
    *count = preset;
    if (!given->has_count)
        return true;
    if (given->count < 1 || given->count > maximum) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter '%s' is out of range: %" G_GINT64_FORMAT " (1 to %u)", name,
                    given->count, maximum);
        return false;
    }
    *count = (unsigned)given->count;
    return true;
}

static bool run_history(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    unsigned count;

    if (!check_count(arguments, "count", FREEZE_HISTORY_WINDOWS, FREEZE_HISTORY_WINDOWS, &count,
                     error))
        return false;
    json_writer_begin_object(reply, "return");
    freeze_history_write(freeze_engine_history(agent->freeze_engine), reply, "windows", count);
    json_writer_end_object(reply);
    return true;
}

static bool run_log(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    unsigned count;

    if (!check_count(arguments, "lines", DEFAULT_LOG_LINES, MAX_LOG_LINES, &count, error))
        return false;
    g_auto(GStrv) lines = log_tail(count);
    json_writer_begin_object(reply, "return");
    json_writer_begin_array(reply, "lines");
    for (char **line = lines; *line; line++)
        json_writer_string(reply, NULL, *line);
    json_writer_end_array(reply);
    json_writer_end_object(reply);
    return true;
}

const Command quiesce_commands[] = {
    {"quiesce-freeze", freeze_arguments, sizeof(FreezeArguments), NULL, start_freeze,
     COMMAND_NOTED},
    {"quiesce-thaw", NULL, 0, NULL, start_thaw, COMMAND_WHILE_FROZEN | COMMAND_NOTED},
    {"quiesce-status", NULL, 0, run_status, NULL, COMMAND_WHILE_FROZEN},
    {"quiesce-history", history_arguments, sizeof(TailArguments), run_history, NULL,
     COMMAND_WHILE_FROZEN},
    {"quiesce-log", log_arguments, sizeof(TailArguments), run_log, NULL, COMMAND_WHILE_FROZEN},
    {NULL},
};
