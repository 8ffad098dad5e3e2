/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/channel-socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

/* sd_listen_fds(3): where inherited descriptors begin. */
#define INHERITED_FD 3

static int fail(GError **error, int fd, int code, const char *what, const char *name)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "%s %s: %s", what, name,
                g_strerror(code));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool unix_address(const char *path, struct sockaddr_un *address, GError **error)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return true;
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NAMETOOLONG,
                "cannot listen on %s: a unix socket's path has at most %zu bytes", path,
                sizeof address->sun_path - 1);
    return false;
}

/* 0 if somebody listens there, else the errno of the attempt to connect. */
static int try_connect(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int code = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
    close(fd);
    return code == EAGAIN ? 0 : code;
}

static bool remove_stale(const struct sockaddr_un *address, GError **error)
{
    const char *path = address->sun_path;
    struct stat status;

    if (lstat(path, &status) < 0)
        return true;
    if (!S_ISSOCK(status.st_mode)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                    "cannot listen on %s: the file is there and is no socket; remove it or name "
                    "another with --path",
                    path);
        return false;
    }
    int code = try_connect(address);
    if (code == 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                    "cannot listen on %s: another program listens there; stop it or name another "
                    "path with --path",
                    path);
        return false;
    }
    if (code == ECONNREFUSED && unlink(path) == 0)
        return true;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code),
                "cannot remove the stale socket %s: %s", path, g_strerror(code));
    return false;
}

int channel_socket_listen_unix(const char *path, GError **error)
{
    struct sockaddr_un address;
    if (!unix_address(path, &address, error) || !remove_stale(&address, error))
        return -1;

    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The file gets the descriptor's mode, so there is no moment at which others could connect.
     * Source: linux/net/unix/af_unix.c (unix_bind_bsd). */
    if (fd < 0 || fchmod(fd, S_IRUSR | S_IWUSR) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return fail(error, fd, errno, "cannot listen on", path);
    return fd;
}

static bool vsock_address(const char *text, struct sockaddr_vm *address, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);
    guint64 cid, port;

    if (g_strv_length(parts) == 2 &&
        g_ascii_string_to_unsigned(parts[0], 10, 0, G_MAXUINT32, &cid, NULL) &&
        g_ascii_string_to_unsigned(parts[1], 10, 0, G_MAXUINT32, &port, NULL)) {
        *address = (struct sockaddr_vm){
            .svm_family = AF_VSOCK, .svm_cid = (unsigned)cid, .svm_port = (unsigned)port};
        return true;
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "'%s' is no vsock address: give CID:PORT, two numbers, with --path", text);
    return false;
}

int channel_socket_listen_vsock(const char *text, GError **error)
{
    struct sockaddr_vm address;
    if (!vsock_address(text, &address, error))
        return -1;

    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, SOMAXCONN) < 0)
        return fail(error, fd, errno, "cannot listen on vsock", text);
    return fd;
}

/* How many descriptors the environment announces to this very process. */
static guint64 announced(void)
{
    guint64 pid = 0;
    guint64 count = 0;
    const char *pid_text = g_getenv("LISTEN_PID");
    const char *count_text = g_getenv("LISTEN_FDS");

    if (pid_text != NULL && count_text != NULL &&
        g_ascii_string_to_unsigned(pid_text, 10, 1, G_MAXINT, &pid, NULL) &&
        pid == (guint64)getpid())
        g_ascii_string_to_unsigned(count_text, 10, 1, G_MAXINT, &count, NULL);
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    return count;
}

static int socket_option(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1 : value;
}

int channel_socket_inherited(GError **error)
{
    guint64 count = announced();
    if (count == 0)
        return -1;

    int family = socket_option(INHERITED_FD, SO_DOMAIN);
    if (count > 1) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%" G_GUINT64_FORMAT " sockets were handed over (LISTEN_FDS), but this agent "
                    "listens on one; leave one ListenStream= in the socket unit",
                    count);
        return -1;
    }
    if ((family != AF_UNIX && family != AF_VSOCK) ||
        socket_option(INHERITED_FD, SO_TYPE) != SOCK_STREAM ||
        socket_option(INHERITED_FD, SO_ACCEPTCONN) != 1) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "the descriptor handed over (LISTEN_FDS) is no listening unix or vsock stream "
                    "socket; give the socket unit ListenStream= and Accept=no");
        return -1;
    }
    if (fcntl(INHERITED_FD, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(INHERITED_FD, F_SETFL, O_NONBLOCK) < 0)
        return fail(error, -1, errno, "cannot use the socket handed over in", "LISTEN_FDS");
    return INHERITED_FD;
}

static char *peer_name(int fd, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_VSOCK) {
        const struct sockaddr_vm *vsock = (const struct sockaddr_vm *)peer;
        return g_strdup_printf("vsock %u:%u", vsock->svm_cid, vsock->svm_port);
    }
    struct ucred credentials = {0};
    socklen_t length = sizeof credentials;
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    return g_strdup_printf("client pid %d uid %u", credentials.pid, credentials.uid);
}

int channel_socket_accept(int listen_fd, char **name, GError **error)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    socklen_t length = sizeof peer;
    int fd = accept4(listen_fd, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        *name = peer_name(fd, &peer);
        return fd;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return -1;
    return fail(error, -1, errno, "cannot accept", "a client");
}
