/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"

#include <glib.h>

/*
 * The way to the host, as the configuration names it: a port (virtio-serial, isa-serial) with one
 * host at its other end, or a listening socket (unix-listen, vsock-listen, or one inherited from
 * systemd) with up to CHANNEL_MAX_CLIENTS side by side; more wait in the socket's backlog.
 */
#define CHANNEL_MAX_CLIENTS 16

/* With --retry-path: how often an attempt is made to open what is not there. */
#define CHANNEL_RETRY_INTERVAL_S 1

typedef struct Channel Channel;

/*
 * Opens the channel and serves it from the default main context until channel_free(). A listening
 * socket inherited from systemd (LISTEN_FDS, sd_listen_fds(3)) goes before method and path; the
 * variables are removed from the environment.
 *
 * With --retry-path a port that is missing, now or later, is waited for. Without it a missing port
 * is an error here, and one that vanishes later ends the main loop: see channel_error().
 */
Channel *channel_new(Agent *agent, GError **error);

/* Closes it, with all its sessions; a unix socket of our own making is removed. */
void channel_free(Channel *channel);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Channel, channel_free)

/* Why the channel ended the main loop; NULL if it did not. Owned by the channel. */
const GError *channel_error(const Channel *channel);
