/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/log-line.h"

#include <glib.h>

/*
 * Where lines go. An output takes a line or leaves it; it never waits.
 *
 * write: 0 when the line was taken; EAGAIN when there is no room now (fd becomes writable when
 * there is); another errno for a trouble that may pass: the line will be offered again later. A
 * line of which only a part could be written counts as taken: the output keeps the rest, and
 * write(output, NULL) tries to get rid of it.
 */
typedef struct LogOutput LogOutput;
struct LogOutput {
    int (*write)(LogOutput *output, const LogLine *line);
    void (*reopen)(LogOutput *output); /* NULL: nothing to reopen */
    void (*free)(LogOutput *output);
    int fd;        /* -1 while closed */
    char *name;    /* for messages: "the log file /var/log/quiesced.log" */
    GString *rest; /* of a line written in part */
};

/* Standard error, as it is now. A reader that is gone for good swallows everything. */
LogOutput *log_stream_new(void);

/* A file; one rotated predecessor is kept. A symbolic link is followed only where it belongs to
 * root or to the daemon's user: whoever else can put one there must not choose what is written. */
LogOutput *log_file_new(const char *path, uint64_t max_bytes, GError **error);

/* The system's log, reached through its socket. */
LogOutput *log_syslog_new(const char *socket_path);

/* For the outputs themselves. */

/* Sets up the common part. */
void log_output_init(LogOutput *output, char *name);
void log_output_free(LogOutput *output);

/* Writes with put(output, bytes, length), which is like write(2), first the rest and then bytes;
 * does the bookkeeping that the write member promises. */
typedef ssize_t (*LogOutputPut)(LogOutput *output, const void *bytes, size_t length);
int log_output_put(LogOutput *output, LogOutputPut put, const char *bytes, size_t length);
