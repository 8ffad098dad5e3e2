/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log.h"

#include "agent/log-line.h"
#include "agent/log-output.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdarg.h>

#define TOPIC "log"
#define SYSLOG_SOCKET "/dev/log"

/* How long a trouble with the sink is left alone, while no new line comes. */
#define RETRY_INTERVAL_S 2

static struct {
    LogLevel level;
    bool held;
    bool attached;
    bool reopen_wanted; /* asked for while held */
    LogOutput *output;  /* NULL before log_open(): made when the first line comes */

    GQueue lines;      /* of LogLine: the memory, oldest first */
    size_t line_bytes; /* what they take */
    GList *unwritten;  /* the first that the output has not taken yet */
    uint64_t lost;     /* left the memory before the output took them */

    int trouble;              /* the errno that the output gave; 0 when all is well */
    int64_t trouble_since_us; /* monotonic */
    guint retry_source;
} the_log = {.level = LOG_LEVEL_INFO, .lines = G_QUEUE_INIT};

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

/* The memory. */

static size_t bytes_of(const LogLine *line)
{
    return sizeof *line + line->length + sizeof(GList);
}

static void remember(LogLine *line)
{
    g_queue_push_tail(&the_log.lines, line);
    the_log.line_bytes += bytes_of(line);
    if (the_log.unwritten == NULL)
        the_log.unwritten = the_log.lines.tail;
    while (the_log.line_bytes > LOG_MEMORY_BYTES && the_log.lines.length > 1) {
        if (the_log.unwritten == the_log.lines.head) {
            the_log.unwritten = the_log.unwritten->next;
            the_log.lost++;
        }
        g_autofree LogLine *oldest = g_queue_pop_head(&the_log.lines);
        the_log.line_bytes -= bytes_of(oldest);
    }
}

/* The way out. */

static bool is_waiting(void)
{
    return the_log.unwritten != NULL || the_log.lost > 0 || the_log.output->rest->len > 0;
}

static int report_lost(void)
{
    if (the_log.lost == 0)
        return 0;
    g_autofree char *text =
        g_strdup_printf("%" G_GUINT64_FORMAT " older lines were lost: %s did not take them in time",
                        the_log.lost, the_log.output->name);
    g_autofree LogLine *line = log_line_new(g_get_real_time(), LOG_LEVEL_WARNING, TOPIC, text);
    int cause = the_log.output->write(the_log.output, line);
    if (cause == 0)
        the_log.lost = 0;
    return cause;
}

static int write_all(void)
{
    int cause = the_log.output->write(the_log.output, NULL);
    if (cause == 0)
        cause = report_lost();
    while (cause == 0 && the_log.unwritten != NULL) {
        cause = the_log.output->write(the_log.output, the_log.unwritten->data);
        if (cause == 0)
            the_log.unwritten = the_log.unwritten->next;
    }
    return cause;
}

static void flush(void);

static gboolean on_retry(void *user_data)
{
    the_log.retry_source = 0;
    flush();
    return G_SOURCE_REMOVE;
}

static gboolean on_writable(int fd, GIOCondition condition, void *user_data)
{
    return on_retry(user_data);
}

static void schedule_retry(void)
{
    if (!the_log.attached || the_log.retry_source != 0 || the_log.held || !is_waiting())
        return;
    if (the_log.trouble == EAGAIN && the_log.output->fd >= 0)
        the_log.retry_source = g_unix_fd_add(the_log.output->fd, G_IO_OUT, on_writable, NULL);
    else
        the_log.retry_source = g_timeout_add_seconds(RETRY_INTERVAL_S, on_retry, NULL);
}

static void note_trouble(int cause)
{
    if (the_log.trouble == 0)
        the_log.trouble_since_us = g_get_monotonic_time();
    /* A sink that is merely slow is no news. */
    if (the_log.trouble == 0 || cause != EAGAIN)
        the_log.trouble = cause;
}

static void note_recovery(void)
{
    int cause = the_log.trouble;
    the_log.trouble = 0;
    if (cause != 0 && cause != EAGAIN)
        log_warning(TOPIC, "%s could not be written for %.1f s: %s", the_log.output->name,
                    (double)(g_get_monotonic_time() - the_log.trouble_since_us) / G_USEC_PER_SEC,
                    g_strerror(cause));
}

static void flush(void)
{
    if (the_log.held)
        return;
    if (the_log.output == NULL)
        the_log.output = log_stream_new();
    int cause = write_all();
    if (cause != 0)
        note_trouble(cause);
    else
        note_recovery();
    schedule_retry();
}

/* The calls. */

static void close_output(void)
{
    g_clear_handle_id(&the_log.retry_source, g_source_remove);
    if (the_log.output != NULL)
        the_log.output->free(the_log.output);
    the_log.output = NULL;
    the_log.trouble = 0;
}

static LogOutput *make_output(const LogOptions *options, GError **error)
{
    switch (options->sink) {
    case LOG_SINK_FILE:
        return log_file_new(options->path, options->max_bytes, error);
    case LOG_SINK_SYSLOG:
        return log_syslog_new(options->path != NULL ? options->path : SYSLOG_SOCKET);
    case LOG_SINK_STDERR:
        break;
    }
    return log_stream_new();
}

/* GLib's own words, which it would write to standard error and wait. */
static void take_glib_message(const char *domain, GLogLevelFlags flags, const char *message,
                              void *user_data)
{
    LogLevel level = flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ? LOG_LEVEL_ERROR
                     : flags & G_LOG_LEVEL_WARNING                      ? LOG_LEVEL_WARNING
                                                                        : LOG_LEVEL_DEBUG;
    log_write(level, domain != NULL ? domain : "glib", "%s", message);
}

bool log_open(const LogOptions *options, GError **error)
{
    LogOutput *output = make_output(options, error);
    if (output == NULL)
        return false;
    close_output();
    the_log.output = output;
    the_log.level = options->level;
    g_log_set_default_handler(take_glib_message, NULL);
    return true;
}

void log_close(void)
{
    flush(); /* nothing while held: a filesystem is still frozen, and writing could wait for it */
    close_output();
    the_log.attached = false;
}

void log_attach(void)
{
    the_log.attached = true;
    flush();
}

static void write_text(int64_t realtime_us, LogLevel level, const char *topic, const char *format,
                       va_list arguments)
{
    if (!log_wants(level))
        return;
    /* The caller may be about to read errno. */
    int saved_errno = errno;
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    remember(log_line_new(realtime_us, level, topic, text));
    flush();
    errno = saved_errno;
}

void log_write(LogLevel level, const char *topic, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_text(g_get_real_time(), level, topic, format, arguments);
    va_end(arguments);
}

void log_write_at(int64_t realtime_us, LogLevel level, const char *topic, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_text(realtime_us, level, topic, format, arguments);
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
    g_clear_handle_id(&the_log.retry_source, g_source_remove);
}

void log_release(void)
{
    if (!the_log.held)
        return;
    the_log.held = false;
    if (the_log.reopen_wanted)
        log_reopen();
    flush();
}

void log_reopen(void)
{
    /* Opening a file for writing waits for a frozen filesystem, too. */
    the_log.reopen_wanted = the_log.held;
    if (!the_log.held && the_log.output != NULL && the_log.output->reopen != NULL)
        the_log.output->reopen(the_log.output);
}

char **log_tail(unsigned max_lines)
{
    unsigned count = MIN(max_lines, the_log.lines.length);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    GList *link = g_queue_peek_nth_link(&the_log.lines, the_log.lines.length - count);
    for (; link != NULL; link = link->next) {
        const LogLine *line = link->data;
        g_autofree char *text = g_strndup(line->text, line->length - 1);
        g_strv_builder_add(builder, text);
    }
    return g_strv_builder_end(builder);
}
