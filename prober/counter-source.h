/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-watch.h"
#include "prober/qmp.h"

#include <glib.h>

/*
 * Where samples of a guest's write counters come from: QMP (prober/block-counters.h) or libvirt
 * (prober/libvirt/libvirt-counters.h). Each makes one of these.
 */
typedef struct {
    /* All writable devices now (counter_sample_new()); NULL with an error. */
    GArray *(*sample)(void *data, int64_t timeout_ms, GError **error);
    void (*set_interrupt_fd)(void *data, int interrupt_fd);
    void (*free)(void *data);
    Qmp *(*qmp)(void *data); /* the monitor behind it; NULL: there is none */
} CounterSourceCalls;

typedef struct CounterSource CounterSource;

/* calls is static; data is taken over. */
CounterSource *counter_source_new(const CounterSourceCalls *calls, void *data);
GArray *counter_source_sample(CounterSource *source, int64_t timeout_ms, GError **error);
void counter_source_set_interrupt_fd(CounterSource *source, int interrupt_fd);
/* QEMU's monitor, which takes one client at a time, for other uses between the samples. Borrowed;
 * NULL when the counters come from elsewhere. */
Qmp *counter_source_qmp(CounterSource *source);
void counter_source_free(CounterSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CounterSource, counter_source_free)
