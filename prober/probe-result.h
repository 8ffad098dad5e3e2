/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-profile.h"
#include "prober/counter-watch.h"
#include "prober/disk-history.h"
#include "prober/guest-window.h"
#include "prober/verdict.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What a verb that judges has found out about one guest, in the form that the renderers of
 * --html, --prometheus and --nagios take. Everything is borrowed from the verb's own report, and
 * may be NULL where that is said.
 */
typedef struct {
    const char *verb;            /* "verify" */
    const char *guest;           /* its name, as the target has it */
    int64_t began_at_us;         /* microseconds since 1970, by the host's clock */
    int64_t took_us;             /* until the verdict */
    const AgentProfile *profile; /* NULL: the agent did not even answer */

    bool judged; /* the next two hold */
    Verdict verdict;
    Consistency consistency;
    const char *failure; /* what went wrong on the way; NULL: nothing */
    bool unthawed;       /* the guest may still be frozen */

    const GPtrArray *evidence; /* of Evidence */
    const GuestWindow *window; /* NULL: none is known */
    const CounterWatch *watch; /* NULL: there were no counters */
    const DiskHistory *disks;  /* NULL: no disk was read while the guest ran */
    const GPtrArray *canaries; /* of CanaryRecord; NULL: none */
    const GPtrArray *log;      /* of char *: the last lines of the agent's log; NULL: none */
} ProbeResult;
