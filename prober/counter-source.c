/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/counter-source.h"

struct CounterSource {
    const CounterSourceCalls *calls;
    void *data;
};

CounterSource *counter_source_new(const CounterSourceCalls *calls, void *data)
{
    CounterSource *source = g_new0(CounterSource, 1);

    source->calls = calls;
    source->data = data;
    return source;
}

GArray *counter_source_sample(CounterSource *source, int64_t timeout_ms, GError **error)
{
    return source->calls->sample(source->data, timeout_ms, error);
}

void counter_source_set_interrupt_fd(CounterSource *source, int interrupt_fd)
{
    source->calls->set_interrupt_fd(source->data, interrupt_fd);
}

Qmp *counter_source_qmp(CounterSource *source)
{
    return source->calls->qmp ? source->calls->qmp(source->data) : NULL;
}

void counter_source_free(CounterSource *source)
{
    source->calls->free(source->data);
    g_free(source);
}
