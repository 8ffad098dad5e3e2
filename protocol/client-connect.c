/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/client.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    const char *name;
    const char *remedy;
    int family;
    int flags;
    const void *address;
    socklen_t address_length;
} Target;

static Client *refuse(const Target *target, int cause, GError **error)
{
    g_set_error(
        error, CLIENT_ERROR, CLIENT_ERROR_CLOSED, "cannot connect to %s: %s; %s", target->name,
        cause == EAGAIN ? "others are waiting for it already" : g_strerror(cause), target->remedy);
    return NULL;
}

static Client *connect_to(const Target *target, GError **error)
{
    int fd = socket(target->family, SOCK_STREAM | SOCK_CLOEXEC | target->flags, 0);

    if (fd < 0)
        return refuse(target, errno, error);
    if (connect(fd, target->address, target->address_length) < 0) {
        int cause = errno;
        close(fd);
        return refuse(target, cause, error);
    }
    return client_new(fd, target->name);
}

Client *client_connect_unix(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    Target target = {
        .name = path,
        .remedy = "is the virtual machine running, is this the socket of its agent's chardev, is "
                  "nothing else connected to it (libvirt, another probe), and may this user open "
                  "it?",
        .family = AF_UNIX,
        /* A blocking connect() would wait for as long as the listener's queue is full. */
        .flags = SOCK_NONBLOCK,
        .address = &address,
        .address_length = sizeof address,
    };

    if (strlen(path) >= sizeof address.sun_path) {
        target.remedy = "make a symbolic link to its directory and use that";
        return refuse(&target, ENAMETOOLONG, error);
    }
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    return connect_to(&target, error);
}

Client *client_connect_vsock(uint32_t cid, uint32_t port, GError **error)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    g_autofree char *name = g_strdup_printf("vsock %u:%u", cid, port);
    Target target = {
        .name = name,
        .remedy = "does the virtual machine have a vsock device with this context id, and does "
                  "its agent run with -m vsock-listen on this port?",
        .family = AF_VSOCK,
        /* Blocks, but the kernel gives up after two seconds: VSOCK_DEFAULT_CONNECT_TIMEOUT in
         * net/vmw_vsock/af_vsock.c. */
        .address = &address,
        .address_length = sizeof address,
    };

    return connect_to(&target, error);
}
