/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static struct {
    LogLevel level;
    bool held;
    GQueue lines; /* of char *: waiting for the release */
} the_log = {.level = LOG_LEVEL_INFO, .lines = G_QUEUE_INIT};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

static char *format_line(int64_t realtime_us, LogLevel level, const char *topic, const char *text)
{
    time_t seconds = realtime_us / G_USEC_PER_SEC;
    struct tm utc;
    char stamp[32];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    return g_strdup_printf("%s.%06dZ %s %s: %s\n", stamp, (int)(realtime_us % G_USEC_PER_SEC),
                           level_names[level], topic, text);
}

static void write_line(int64_t realtime_us, LogLevel level, const char *topic, const char *format,
                       va_list arguments)
{
    if (!log_wants(level))
        return;
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    g_autofree char *line = format_line(realtime_us, level, topic, text);
    if (the_log.held)
        g_queue_push_tail(&the_log.lines, g_steal_pointer(&line));
    else
        fputs(line, stderr);
}

bool log_open(const LogOptions *options, GError **error)
{
    the_log.level = options->level;
    return true;
}

void log_close(void)
{
    log_release();
}

void log_attach(void)
{
}

void log_write(LogLevel level, const char *topic, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(g_get_real_time(), level, topic, format, arguments);
    va_end(arguments);
}

void log_write_at(int64_t realtime_us, LogLevel level, const char *topic, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(realtime_us, level, topic, format, arguments);
    va_end(arguments);
}

bool log_wants(LogLevel level)
{
    return level <= the_log.level;
}

LogLevel log_level(void)
{
    return the_log.level;
}

const char *log_level_name(LogLevel level)
{
    return level_names[level];
}

void log_set_level(LogLevel level)
{
    the_log.level = level;
}

void log_hold(void)
{
    the_log.held = true;
}

void log_release(void)
{
    the_log.held = false;
    char *line;
    while ((line = g_queue_pop_head(&the_log.lines)) != NULL) {
        fputs(line, stderr);
        g_free(line);
    }
}

void log_reopen(void)
{
}

char **log_tail(unsigned max_lines)
{
    return g_new0(char *, 1);
}
