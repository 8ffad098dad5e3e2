/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/log.h"
#include "platform/real-time-clock.h"

#include <errno.h>
#include <time.h>

/* The guest's clock. Times on the wire are nanoseconds since the epoch. */

#define TOPIC "time"
#define NS_PER_S G_GINT64_CONSTANT(1000000000)

/* 2071-01-01. As qemu-ga does: a time beyond it was given in the wrong unit. */
#define TIME_END_S G_GINT64_CONSTANT(3187296000)

/* How the hardware clock is watched for its next second. */
#define TICK_POLL_MS 10
#define TICK_POLLS_MAX 130

static bool run_get_time(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_writer_integer(reply, "return", now.tv_sec * NS_PER_S + now.tv_nsec);
    return true;
}

typedef struct {
    int64_t time;
    bool has_time;
} SetTimeArguments;

static const Argument set_time_arguments[] = {
    ARGUMENT_WITH_PRESENCE("time", ARGUMENT_INTEGER, SetTimeArguments, time, has_time),
    ARGUMENT_END,
};

static bool set_system_clock(int64_t time_ns, GError **error)
{
    struct timespec time = {.tv_sec = time_ns / NS_PER_S, .tv_nsec = time_ns % NS_PER_S};
    if (time_ns < 0 || time.tv_sec >= TIME_END_S) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "Invalid time: not within the years 1970 to 2070 "
                    "(it is nanoseconds since 1970)");
        return false;
    }
    if (clock_settime(CLOCK_REALTIME, &time) == 0)
        return true;
    int cause = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                "cannot set the system clock: %s", g_strerror(cause));
    return false;
}

static bool copy_to_hardware_clock(int64_t time_ns, GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (real_time_clock_write((time_ns + NS_PER_S / 2) / NS_PER_S, &cause))
        return true;
    if (g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        log_debug(TOPIC, "%s: only the system clock is set", cause->message);
        return true;
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                "the system clock is set, but the hardware clock is not: %s", cause->message);
    return false;
}

static void write_nothing(CommandCall *call)
{
    JsonWriter *reply = command_call_reply(call);
    json_writer_begin_object(reply, "return");
    json_writer_end_object(reply);
}

static void finish(CommandCall *call, GError *error)
{
    if (error == NULL)
        write_nothing(call);
    command_call_finish(call, error);
}

/* The system clock from the hardware clock. That one shows whole seconds only, so the moment at
 * which it shows the next one is waited for: without that the clock would be up to a second late.
 */
typedef struct {
    CommandCall *call;
    int64_t first_seconds;
    unsigned polls;
} TickWait;

static gboolean on_tick_poll(void *user_data)
{
    TickWait *wait = user_data;
    GError *error = NULL;
    int64_t seconds = 0;
    bool ok = real_time_clock_read(&seconds, &error);
    /* A clock that stands still is still better than none. */
    if (ok && seconds == wait->first_seconds && ++wait->polls < TICK_POLLS_MAX)
        return G_SOURCE_CONTINUE;
    if (ok && set_system_clock(seconds * NS_PER_S, &error))
        log_info(TOPIC, "system clock set from the hardware clock");
    finish(wait->call, error);
    g_free(wait);
    return G_SOURCE_REMOVE;
}

static void start_from_hardware_clock(CommandCall *call)
{
    GError *error = NULL;
    int64_t seconds = 0;
    if (!real_time_clock_read(&seconds, &error)) {
        g_prefix_error(&error, "cannot set the system clock: ");
        finish(call, error);
        return;
    }
    TickWait *wait = g_new0(TickWait, 1);
    *wait = (TickWait){.call = call, .first_seconds = seconds};
    g_timeout_add(TICK_POLL_MS, on_tick_poll, wait);
}

static void start_set_time(Agent *agent, const void *arguments, CommandCall *call)
{
    const SetTimeArguments *set_time = arguments;
    if (!set_time->has_time) {
        start_from_hardware_clock(call);
        return;
    }
    GError *error = NULL;
    if (set_system_clock(set_time->time, &error)) {
        log_info(TOPIC, "system clock set by the host");
        copy_to_hardware_clock(set_time->time, &error);
    }
    finish(call, error);
}

const Command time_commands[] = {
    {.name = "guest-get-time", .run = run_get_time, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-set-time",
     .arguments = set_time_arguments,
     .arguments_size = sizeof(SetTimeArguments),
     .start = start_set_time},
    {.name = NULL},
};
