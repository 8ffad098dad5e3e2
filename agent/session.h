/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A conversation over one descriptor: requests are carried out one after the other, replies go out
 * in the order of the requests. While a request is under way, or while the peer leaves more than
 * SESSION_OUTPUT_BYTES of replies unread, nothing is read, so that memory stays bounded.
 *
 * The descriptor sits in an edge-triggered epoll of its own, and the main loop polls that one: a
 * virtio port whose host is away reports POLLHUP for as long as it is away, and would keep a loop
 * that polls the port itself busy for ever. Source: linux/drivers/char/virtio_console.c
 * (port_fops_poll), epoll(7).
 */
#define SESSION_OUTPUT_BYTES (1024u * 1024)

/* How long a peer may leave a reply unread before it is given up. */
#define SESSION_STALL_TIMEOUT_MS (30 * 1000)

typedef enum {
    /* A hang-up (end of file) is the end of this host and not of the descriptor: a virtio port. */
    SESSION_SURVIVES_HANGUP = 1 << 0,
    /* A peer that stops reading loses its replies, else it loses the connection. */
    SESSION_SURVIVES_STALL = 1 << 1,
    /* A read that returns less than asked for has emptied the descriptor: a socket. */
    SESSION_SHORT_READ_IS_ALL = 1 << 2,
} SessionFlags;

typedef struct {
    int fd;           /* non-blocking; taken over, also on failure */
    const char *name; /* for the log: who is at the other end; copied */
    SessionFlags flags;
    int64_t stall_timeout_ms;
} SessionOptions;

typedef struct Session Session;

/* The conversation is over: the owner frees the session now or later. error is NULL when the peer
 * said goodbye, borrowed. Called at most once and never from within session_new(). */
typedef void (*SessionEnded)(Session *session, const GError *error, void *user_data);

/* Fails only if the descriptor cannot be watched (a regular file, say). */
Session *session_new(Dispatch *dispatch, const SessionOptions *options, SessionEnded ended,
                     void *user_data, GError **error);

/* Closes the descriptor. A command under way finishes; its reply is thrown away. */
void session_free(Session *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Session, session_free)

const char *session_name(const Session *session);
