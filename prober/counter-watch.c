/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/counter-watch.h"

static void counters_clear(gpointer counters)
{
    g_free(((DeviceCounters *)counters)->name);
}

GArray *counter_sample_new(void)
{
    GArray *sample = g_array_new(FALSE, FALSE, sizeof(DeviceCounters));

    g_array_set_clear_func(sample, counters_clear);
    return sample;
}

void counter_sample_add(GArray *sample, const char *name, uint64_t writes, uint64_t bytes)
{
    DeviceCounters counters = {.name = g_strdup(name), .writes = writes, .bytes = bytes};

    g_array_append_val(sample, counters);
}

static void device_free(gpointer data)
{
    DeviceActivity *device = data;

    g_free(device->name);
    write_series_free(device->series);
    g_free(device);
}

CounterWatch *counter_watch_new(void)
{
    CounterWatch *watch = g_new0(CounterWatch, 1);

    watch->devices = g_ptr_array_new_with_free_func(device_free);
    return watch;
}

void counter_watch_free(CounterWatch *watch)
{
    g_ptr_array_unref(watch->devices);
    g_free(watch);
}

static DeviceActivity *find(const CounterWatch *watch, const char *name)
{
    for (unsigned i = 0; i < watch->devices->len; i++) {
        DeviceActivity *device = g_ptr_array_index(watch->devices, i);
        if (g_strcmp0(device->name, name) == 0)
            return device;
    }
    return NULL;
}

static void add_interval(DeviceActivity *device, CounterPhase phase, const DeviceCounters *now,
                         int64_t at_us)
{
    PhaseActivity *activity = &device->phases[phase];
    bool backwards = now->writes < device->last_writes || now->bytes < device->last_bytes;
    uint64_t writes = backwards ? 1 : now->writes - device->last_writes;
    uint64_t bytes = backwards ? 0 : now->bytes - device->last_bytes;
    WriteInterval interval = {device->last_at_us, at_us, writes, phase};

    activity->intervals++;
    if (writes > 0 || bytes > 0)
        activity->moved++;
    activity->writes += writes;
    activity->bytes += bytes;
    if (device->last_at_us > 0 && at_us > device->last_at_us)
        write_series_add(device->series, &interval);
}

void counter_watch_add(CounterWatch *watch, CounterPhase phase, const GArray *sample)
{
    counter_watch_add_at(watch, phase, sample, 0);
}

void counter_watch_add_at(CounterWatch *watch, CounterPhase phase, const GArray *sample,
                          int64_t at_us)
{
    watch->samples++;
    for (unsigned i = 0; i < sample->len; i++) {
        const DeviceCounters *now = &g_array_index(sample, DeviceCounters, i);
        DeviceActivity *device = find(watch, now->name);

        if (device) {
            add_interval(device, phase, now, at_us);
        } else {
            if (watch->devices->len == COUNTER_WATCH_MAX_DEVICES)
                continue;
            device = g_new0(DeviceActivity, 1);
            device->name = g_strdup(now->name);
            device->series = write_series_new();
            g_ptr_array_add(watch->devices, device);
        }
        device->last_writes = now->writes;
        device->last_bytes = now->bytes;
        device->last_at_us = at_us;
    }
}
