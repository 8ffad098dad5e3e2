/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-output.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* Not through syslog(3): that one waits for a receiver that does not read. */
typedef struct {
    LogOutput base;
    struct sockaddr_un address;
} Syslog;

static const int priorities[] = {
    [LOG_LEVEL_ERROR] = LOG_ERR,
    [LOG_LEVEL_WARNING] = LOG_WARNING,
    [LOG_LEVEL_INFO] = LOG_INFO,
    [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static int open_socket(Syslog *syslog)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&syslog->address, sizeof syslog->address) < 0) {
        int cause = errno;
        close(fd);
        return cause;
    }
    syslog->base.fd = fd;
    return 0;
}

/* The form of RFC 3164, as /dev/log takes it. Its time has seconds only and receivers may put in
 * their own: the line keeps its own stamp. */
static char *make_message(const LogLine *line)
{
    time_t seconds = line->realtime_us / G_USEC_PER_SEC;
    struct tm local;
    char stamp[32];
    localtime_r(&seconds, &local);
    strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &local);
    return g_strdup_printf("<%d>%s quiesced[%d]: %.*s", LOG_DAEMON | priorities[line->level], stamp,
                           (int)getpid(), (int)line->length - 1, line->text);
}

static int syslog_write(LogOutput *output, const LogLine *line)
{
    if (line == NULL)
        return 0;
    int cause = output->fd >= 0 ? 0 : open_socket((Syslog *)output);
    if (cause != 0)
        return cause;
    g_autofree char *message = make_message(line);
    if (send(output->fd, message, strlen(message), MSG_NOSIGNAL) >= 0)
        return 0;
    cause = errno;
    if (cause == EAGAIN || cause == ENOBUFS)
        return EAGAIN;
    if (cause == EMSGSIZE)
        return 0;
    /* The receiver was started anew behind another socket of the same name. */
    close(output->fd);
    output->fd = -1;
    return cause;
}

LogOutput *log_syslog_new(const char *socket_path)
{
    Syslog *syslog = g_new0(Syslog, 1);
    log_output_init(&syslog->base, g_strdup("syslog"));
    syslog->base.write = syslog_write;
    syslog->base.free = log_output_free;
    syslog->address.sun_family = AF_UNIX;
    g_strlcpy(syslog->address.sun_path, socket_path, sizeof syslog->address.sun_path);
    return &syslog->base;
}
