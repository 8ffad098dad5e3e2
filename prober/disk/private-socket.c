/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/private-socket.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

struct PrivateSocket {
    char *folder;
    struct sockaddr_un address;
    int listener;
};

static bool fail(GError **error, const char *object, int cause)
{
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                "cannot make a private socket in %s: %s (TMPDIR names another directory)", object,
                g_strerror(cause));
    return false;
}

static bool listen_in_folder(PrivateSocket *self, GError **error)
{
    g_autofree char *path = g_build_filename(self->folder, "nbd", NULL);

    self->address.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof self->address.sun_path)
        return fail(error, self->folder, ENAMETOOLONG);
    g_strlcpy(self->address.sun_path, path, sizeof self->address.sun_path);
    self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->listener < 0 ||
        bind(self->listener, (struct sockaddr *)&self->address, sizeof self->address) < 0 ||
        listen(self->listener, BACKLOG) < 0)
        return fail(error, self->folder, errno);
    return true;
}

PrivateSocket *private_socket_new(GError **error)
{
    g_autoptr(PrivateSocket) self = g_new0(PrivateSocket, 1);

    self->listener = -1;
    self->folder = g_dir_make_tmp("quiesce-probe-XXXXXX", NULL);
    if (!self->folder) {
        fail(error, g_get_tmp_dir(), errno);
        return NULL;
    }
    return listen_in_folder(self, error) ? g_steal_pointer(&self) : NULL;
}

void private_socket_free(PrivateSocket *self)
{
    if (self->listener >= 0)
        close(self->listener);
    if (*self->address.sun_path != '\0')
        unlink(self->address.sun_path);
    if (self->folder)
        rmdir(self->folder);
    g_free(self->folder);
    g_free(self);
}

int private_socket_listener(const PrivateSocket *self)
{
    return self->listener;
}

int private_socket_connect(const PrivateSocket *self, GError **error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&self->address, sizeof self->address) == 0)
        return fd;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot connect to %s: %s",
                self->address.sun_path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}
