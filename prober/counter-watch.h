/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/write-series.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The hypervisor's write counters of a guest's disks, sampled through a window and summed up per
 * device and phase as they come, so that a long hold costs no memory. Where the samples come from
 * (QMP; libvirt one day) is not known here. Pure.
 */
#define COUNTER_WATCH_MAX_DEVICES 256

typedef struct {
    char *name;
    uint64_t writes; /* completed write operations since the device exists */
    uint64_t bytes;
} DeviceCounters;

/* All devices at one moment: a GArray of DeviceCounters that frees its names. */
GArray *counter_sample_new(void);
void counter_sample_add(GArray *sample, const char *name, uint64_t writes, uint64_t bytes);

typedef enum {
    COUNTER_PHASE_BEFORE,
    COUNTER_PHASE_FREEZING, /* from the last sample before the freeze's request to the first after
                               its reply: holds the freeze's own flush, so proves nothing */
    COUNTER_PHASE_HOLD,     /* between samples taken after the freeze's reply and before the thaw's
                               request */
    COUNTER_PHASE_AFTER,    /* from the last sample before the thaw's request on */
    COUNTER_PHASES,
} CounterPhase;

typedef struct {
    unsigned intervals; /* between two samples */
    unsigned moved;     /* intervals in which the device wrote */
    uint64_t writes;
    uint64_t bytes;
} PhaseActivity;

typedef struct {
    char *name;
    uint64_t last_writes;
    uint64_t last_bytes;
    int64_t last_at_us;  /* 0: not told */
    WriteSeries *series; /* empty when no times were told */
    PhaseActivity phases[COUNTER_PHASES];
} DeviceActivity;

typedef struct {
    GPtrArray *devices; /* of DeviceActivity */
    unsigned samples;
} CounterWatch;

CounterWatch *counter_watch_new(void);
void counter_watch_free(CounterWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CounterWatch, counter_watch_free)

/* Adds what changed since the last sample to phase. A device that is new in this sample only gets
 * its starting point; counters that went backwards (a device unplugged and plugged again) count as
 * one write. */
void counter_watch_add(CounterWatch *watch, CounterPhase phase, const GArray *sample);
/* The same with the time (host's monotonic clock) at which the sample had arrived, for the devices'
 * series. */
void counter_watch_add_at(CounterWatch *watch, CounterPhase phase, const GArray *sample,
                          int64_t at_us);
