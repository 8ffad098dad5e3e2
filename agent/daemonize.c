/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define READY "ready"

/* What the daemon has to say comes in one packet; longer messages are cut. */
#define MESSAGE_BYTES 4096

struct Daemonize {
    int fd; /* the daemon's end of the socket pair; -1 once it has spoken */
};

static bool set_error(GError **error, const char *what)
{
    int cause = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                "cannot go to the background: %s: %s", what, g_strerror(cause));
    return false;
}

static G_NORETURN void wait_for_daemon(int fd)
{
    char message[MESSAGE_BYTES + 1];
    ssize_t length;
    do
        length = recv(fd, message, MESSAGE_BYTES, 0);
    while (length < 0 && errno == EINTR);
    message[MAX(length, 0)] = '\0';

    if (g_str_equal(message, READY))
        _exit(EXIT_SUCCESS);
    fprintf(stderr, "%s: %s\n", g_get_prgname(),
            length > 0 ? message : "the daemon died at its start");
    _exit(EXIT_FAILURE);
}

static bool redirect_standard_descriptors(GError **error)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return set_error(error, "/dev/null");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (dup2(null_fd, fd) < 0)
            return set_error(error, "dup2");
    if (null_fd > STDERR_FILENO)
        close(null_fd);
    return true;
}

Daemonize *daemonize(bool wanted, GError **error)
{
    if (!wanted)
        return NULL;
    int ends[2];
    /* A packet socket and not a pipe: a message is never read in half. */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        set_error(error, "socketpair");
        return NULL;
    }
    pid_t child = fork();
    if (child < 0) {
        set_error(error, "fork");
        close(ends[0]);
        close(ends[1]);
        return NULL;
    }
    if (child > 0) {
        close(ends[1]);
        wait_for_daemon(ends[0]);
    }
    close(ends[0]);
    g_autoptr(Daemonize) daemon = g_new0(Daemonize, 1);
    daemon->fd = ends[1];
    setsid();
    if (chdir("/") < 0) {
        set_error(error, "/");
        return NULL;
    }
    return redirect_standard_descriptors(error) ? g_steal_pointer(&daemon) : NULL;
}

static bool tell_parent(Daemonize *daemon, const char *message)
{
    if (daemon == NULL || daemon->fd < 0)
        return false;
    size_t length = MIN(strlen(message), MESSAGE_BYTES);
    bool sent = send(daemon->fd, message, length, MSG_NOSIGNAL) >= 0;
    close(daemon->fd);
    daemon->fd = -1;
    return sent;
}

void daemonize_ready(Daemonize *daemon)
{
    tell_parent(daemon, READY);
}

void daemonize_failed(Daemonize *daemon, const char *message)
{
    if (!tell_parent(daemon, message))
        fprintf(stderr, "%s: %s\n", g_get_prgname(), message);
}

void daemonize_free(Daemonize *daemon)
{
    if (daemon == NULL)
        return;
    if (daemon->fd >= 0)
        close(daemon->fd);
    g_free(daemon);
}
