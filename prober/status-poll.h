/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"
#include "prober/agent-profile.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Asks an agent again and again, from a thread of its own, whether it calls itself frozen: for
 * agents that keep no history. Gently: a connection is made for each question and let go of at
 * once, because others want it, too; and where nobody answers soon, somebody else has it, and the
 * next question comes later.
 */
typedef struct StatusPoll StatusPoll;

/* One answer; it was true at some moment between the two (monotonic clock). */
typedef struct {
    int64_t asked_us;
    int64_t answered_us;
    bool frozen;
} StatusAnswer;

#define STATUS_POLL_MAX_ANSWERS 100000

/* link is taken over, and used from the thread; profile is borrowed and not changed meanwhile.
 * shared: others get at the agent beside us, so that the connection can be kept. */
StatusPoll *status_poll_start(AgentLink *link, const AgentProfile *profile, bool shared);

/* Whether the last answer was "frozen"; at any time. */
bool status_poll_is_frozen(StatusPoll *poll);

/* Ends it and returns all answers: a GArray of StatusAnswer, oldest first. */
GArray *status_poll_stop(StatusPoll *poll);
