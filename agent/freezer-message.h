/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * What the daemon and its freezer process say to each other over a SOCK_SEQPACKET pair. All data
 * lies in the freeze board; messages carry orders and descriptors.
 */
typedef enum {
    FREEZER_FREEZE,     /* to the freezer, with the board's memfd: carry out a window */
    FREEZER_THAW,       /* to the freezer: end the window */
    FREEZER_ADOPT,      /* to the freezer, with the board's memfd: thaw what a dead process froze;
                           descriptors follow, then FREEZER_THAW */
    FREEZER_DESCRIPTOR, /* either way, with a descriptor on slot's filesystem; to the freezer also
                           with slot FREEZER_PREDECESSOR and the pidfd of the dead process */
    FREEZER_UNLOCKED,   /* to the daemon, with error_number: the freezer's memory is not locked */
} FreezerMessageType;

#define FREEZER_PREDECESSOR ((unsigned)-1)

typedef struct {
    FreezerMessageType type;
    unsigned slot;
    int error_number;
} FreezerMessage;

/* Sends one message, with descriptor fd unless it is -1 (still the caller's). Does not wait: false
 * with errno EAGAIN when the peer does not read, EPIPE when it is gone. */
bool freezer_message_send(int socket_fd, const FreezerMessage *message, int fd);

/* Receives one message without waiting; *fd is the caller's, -1 when none came with it. False with
 * errno EAGAIN when there is none, EPIPE when the peer is gone. */
bool freezer_message_receive(int socket_fd, FreezerMessage *message, int *fd);
