/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The daemon's log: file, standard error (with the journal's <N> priorities when that is where it
 * goes) or syslog. A line is "2026-11-21T01:19:07.123456Z level topic: text".
 *
 * A line of text never gets to forge another one: control characters and bytes that are not UTF-8
 * are escaped.
 *
 * No call here ever waits: what a sink does not take at once is kept in memory, bounded
 * (LOG_MEMORY_BYTES; the oldest lines go first and their number is logged), and written later with
 * its original time. Between log_hold() and log_release() nothing is written to any sink at all.
 */
#define LOG_MEMORY_BYTES (1024u * 1024)

typedef enum { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } LogLevel;

typedef enum { LOG_SINK_STDERR, LOG_SINK_FILE, LOG_SINK_SYSLOG } LogSink;

typedef struct {
    LogSink sink;
    const char *path;   /* LOG_SINK_FILE; one rotated predecessor is kept as path + ".1".
                           LOG_SINK_SYSLOG: the socket; NULL for /dev/log */
    uint64_t max_bytes; /* LOG_SINK_FILE: rotate at this size; 0 = never */
    LogLevel level;     /* the most talkative level that is kept */
} LogOptions;

/* Starts the log, and takes over what GLib would print. Lines written before go to standard error.
 * A file that cannot be opened is an error here, but later troubles (disk full, directory gone)
 * never are. */
bool log_open(const LogOptions *options, GError **error);
/* Writes what the sink takes at once, unless held, and closes. What it does not take stays in
 * memory, for log_tail(). */
void log_close(void);

/* Hooks the retries into the default main context. Call once the loop is going to run. */
void log_attach(void);

/* topic: "freeze", "hook", "channel", "config", ... */
void log_write(LogLevel level, const char *topic, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The same for something that happened at realtime_us (CLOCK_REALTIME, microseconds). */
void log_write_at(int64_t realtime_us, LogLevel level, const char *topic, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

#define log_error(topic, ...) log_write(LOG_LEVEL_ERROR, topic, __VA_ARGS__)
#define log_warning(topic, ...) log_write(LOG_LEVEL_WARNING, topic, __VA_ARGS__)
#define log_info(topic, ...) log_write(LOG_LEVEL_INFO, topic, __VA_ARGS__)
#define log_debug(topic, ...) log_write(LOG_LEVEL_DEBUG, topic, __VA_ARGS__)

bool log_wants(LogLevel level);
LogLevel log_level(void);
/* "error", "warning", "info", "debug" */
const char *log_level_name(LogLevel level);
void log_set_level(LogLevel level);

/* While filesystems are frozen: everything to memory. Nests not; calling twice is harmless. */
void log_hold(void);
void log_release(void);

/* SIGHUP: opens the file anew (after logrotate moved it); while held, later. */
void log_reopen(void);

/* The newest lines in memory, oldest first, also while held: at most max_lines; free with
 * g_strfreev(). The log keeps LOG_MEMORY_BYTES of history for this whether or not a sink took it.
 */
char **log_tail(unsigned max_lines);
