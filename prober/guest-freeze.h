/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/guest-window.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Freezing and thawing a guest: through quiesced's commands where the agent has them, through
 * guest-fsfreeze-* otherwise. What the agent answers goes into a GuestWindow.
 */
typedef struct {
    const char *const *mount_points; /* NULL: everything */
    bool canary;                     /* quiesced only: with its own writers */
    int64_t hold_timeout_ms; /* quiesced only: thaw by yourself after this; 0: its default */
} FreezeRequest;

/*
 * False with an error when the guest is not known to be frozen. agent_link_is_answer() tells
 * whether the agent refused or whether nobody knows: then thaw. A freeze that was tried and failed
 * is in window->freeze_error, too.
 */
bool guest_freeze_freeze(AgentLink *link, const AgentProfile *profile, const FreezeRequest *request,
                         int64_t timeout_ms, GuestWindow *window, GError **error);

/* "thawed", "frozen", ... in the agent's words; free with g_free(). */
char *guest_freeze_status(AgentLink *link, const AgentProfile *profile, GError **error);

/*
 * Thaws, and does not take no for an answer: connects again, comes into step again, asks again,
 * until the guest is thawed or a few times timeout_ms have passed. No signal ends it. Each failed
 * try is told on standard error. False: the guest may still be frozen; the error says why and what
 * to do.
 */
bool guest_freeze_thaw(AgentLink *link, const AgentProfile *profile, int64_t timeout_ms,
                       GuestWindow *window, GError **error);
