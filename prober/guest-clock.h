/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"
#include "prober/agent-profile.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Where a moment of the guest's clock lies on the host's monotonic clock. The guest is asked for
 * its time (guest-get-time): it read its clock somewhere between request and reply. The two clocks
 * tick apart and the guest's may be stepped, so it is asked before and after.
 */
typedef struct {
    bool known;
    int64_t offset_us; /* guest's time minus host's */
    int64_t slack_us;  /* by which it may be wrong, either way */
} GuestClock;

/* Unknown when the agent does not tell or does not answer. */
GuestClock guest_clock_read(AgentLink *link, const AgentProfile *profile);

/* What two readings come to for the time between them; one of them may be unknown. Pure. */
GuestClock guest_clock_between(const GuestClock *before, const GuestClock *after);
