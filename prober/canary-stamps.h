/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/guest-window.h"

/*
 * What a writer run through guest-exec printed, turned into numbers. Pure.
 *
 * The writer prints one line per completed write, "BEGUN DONE", both read from the guest's
 * /proc/uptime around it. When the guest froze is not known by that clock; but two readings of it
 * are: one ordered before the freeze's request, one after the thaw's reply. Somewhere between them
 * lies a stretch as long as the hold. If every stretch of that length holds a write, then so does
 * the hold; if one holds none, it is the hold, as far as a writer can tell.
 */
typedef struct {
    double before_s;        /* /proc/uptime before the freeze was asked for */
    double after_s;         /* and after the thaw was answered */
    double hold_s;          /* by the host's clock */
    bool on_host;           /* the next is known */
    int64_t host_offset_us; /* the host's monotonic clock minus the guest's */
} CanaryMoments;

/* Lines looked at: an hour at twenty a second. */
#define CANARY_STAMPS_MAX 72000
/* Moments of them that are kept for a drawing (CanaryRecord.written_at_us), evenly spread. */
#define CANARY_STAMPS_MAX_MOMENTS 500

/* A guest may claim any uptime; what is longer than this does not fit into microseconds. */
#define CANARY_MAX_UPTIME_S 1e11

CanaryRecord *canary_stamps_read(const char *mount_point, const char *output,
                                 const CanaryMoments *moments);
