/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/probe-result.h"
#include "prober/watch.h"

#include <glib.h>

/*
 * What a watch saw, as the renderers of --html, --prometheus and --nagios take it: with the last
 * freeze as its window, and what the disks did around that, or all the while when there was none.
 */
typedef struct {
    ProbeResult result;     /* borrows from the report, and from the next four */
    GuestWindow window;     /* the freeze's, with the times as the host saw them */
    GPtrArray *canaries;    /* of CanaryRecord, borrowed */
    GPtrArray *no_evidence; /* where there is no judgement */
    CounterWatch *activity; /* owned; NULL: the freeze's own is used, or there is none */
} WatchResult;

/* guest_name is borrowed. */
WatchResult *watch_result_new(const WatchReport *report, const char *guest_name);
void watch_result_free(WatchResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WatchResult, watch_result_free)
