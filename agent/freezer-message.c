/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freezer-message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

typedef union {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int))];
} DescriptorControl;

bool freezer_message_send(int socket_fd, const FreezerMessage *message, int fd)
{
    struct iovec data = {.iov_base = (void *)message, .iov_len = sizeof *message};
    struct msghdr packet = {.msg_iov = &data, .msg_iovlen = 1};
    DescriptorControl control = {0};

    if (fd >= 0) {
        packet.msg_control = &control;
        packet.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return sendmsg(socket_fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof *message;
}

bool freezer_message_receive(int socket_fd, FreezerMessage *message, int *fd)
{
    struct iovec data = {.iov_base = message, .iov_len = sizeof *message};
    DescriptorControl control = {0};
    struct msghdr packet = {
        .msg_iov = &data,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };

    *fd = -1;
    ssize_t length = recvmsg(socket_fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length != sizeof *message) {
        if (length >= 0)
            errno = EPIPE;
        return false;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return true;
}
