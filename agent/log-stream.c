/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Standard error is shared with whoever started us, so O_NONBLOCK, which belongs to the open file
 * description, is not ours to set. Each kind of file has another way not to wait.
 */
typedef struct {
    LogOutput base;
    LogOutputPut put;
    bool for_journal; /* each line begins with its priority: sd-daemon(3) */
} Stream;

/* syslog's priorities: sd-daemon(3). */
static const int priorities[] = {
    [LOG_LEVEL_ERROR] = 3,
    [LOG_LEVEL_WARNING] = 4,
    [LOG_LEVEL_INFO] = 6,
    [LOG_LEVEL_DEBUG] = 7,
};

static ssize_t put_to_socket(LogOutput *output, const void *bytes, size_t length)
{
    return send(output->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t put_plainly(LogOutput *output, const void *bytes, size_t length)
{
    return write(output->fd, bytes, length);
}

/* A pipe that polls as writable takes PIPE_BUF bytes without waiting: pipe(7). */
static ssize_t put_after_poll(LogOutput *output, const void *bytes, size_t length)
{
    struct pollfd poll_fd = {.fd = output->fd, .events = POLLOUT};
    if (poll(&poll_fd, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(output->fd, bytes, MIN(length, PIPE_BUF));
}

static int stream_write(LogOutput *output, const LogLine *line)
{
    Stream *stream = (Stream *)output;
    char priority[8] = "";
    if (output->fd < 0)
        return 0;
    if (line != NULL && stream->for_journal)
        snprintf(priority, sizeof priority, "<%d>", priorities[line->level]);
    g_autofree char *bytes = g_strconcat(priority, line != NULL ? line->text : "", NULL);
    int cause = log_output_put(output, stream->put, bytes, strlen(bytes));
    /* The reader does not come back: what is written from now on is for nobody. */
    return cause == EPIPE || cause == ECONNRESET || cause == ENOTCONN ? 0 : cause;
}

/* $JOURNAL_STREAM names the journal's end of our standard error: systemd.exec(5). */
static bool is_journal(const struct stat *status)
{
    const char *expected = g_getenv("JOURNAL_STREAM");
    g_autofree char *actual =
        g_strdup_printf("%ju:%ju", (uintmax_t)status->st_dev, (uintmax_t)status->st_ino);
    return g_strcmp0(expected, actual) == 0;
}

LogOutput *log_stream_new(void)
{
    Stream *stream = g_new0(Stream, 1);
    LogOutput *output = &stream->base;
    log_output_init(output, g_strdup("standard error"));
    output->write = stream_write;
    output->free = log_output_free;

    struct stat status;
    if (fstat(STDERR_FILENO, &status) < 0)
        return output;
    stream->for_journal = is_journal(&status);
    bool has_private_way = !S_ISREG(status.st_mode) && !S_ISSOCK(status.st_mode);
    if (has_private_way)
        /* Opened once more, it is a file description of our own. */
        output->fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (output->fd >= 0) {
        stream->put = put_plainly;
        return output;
    }
    stream->put = S_ISREG(status.st_mode)    ? put_plainly
                  : S_ISSOCK(status.st_mode) ? put_to_socket
                                             : put_after_poll;
    output->fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    return output;
}
