/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/libvirt-counters.h"
#include "prober/json-field.h"
#include "prober/libvirt/libvirt-service.h"

typedef struct {
    LibvirtService *service;
    GHashTable *unwritable; /* set of char * */
} LibvirtCounters;

static void libvirt_counters_free(void *data)
{
    LibvirtCounters *counters = data;

    libvirt_service_free(counters->service);
    g_hash_table_unref(counters->unwritable);
    g_free(counters);
}

static void libvirt_counters_set_interrupt_fd(void *data, int interrupt_fd)
{
    libvirt_service_set_interrupt_fd(((LibvirtCounters *)data)->service, interrupt_fd);
}

static GArray *read_sample(json_object *list, GHashTable *unwritable)
{
    GArray *sample = counter_sample_new();

    for (size_t i = 0; i < json_field_length(list, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        const char *name = json_field_string(element, "name");
        int64_t writes = 0;
        int64_t bytes = 0;
        if (name && !g_hash_table_contains(unwritable, name) &&
            json_field_integer(element, "writes", &writes) &&
            json_field_integer(element, "bytes", &bytes))
            counter_sample_add(sample, name, (uint64_t)writes, (uint64_t)bytes);
    }
    return sample;
}

static GArray *libvirt_counters_sample(void *data, int64_t timeout_ms, GError **error)
{
    LibvirtCounters *counters = data;
    json_object *reply = libvirt_service_call(counters->service, "stats", NULL, timeout_ms, error);

    if (!reply)
        return NULL;
    GArray *sample = read_sample(json_field_array(reply, "stats"), counters->unwritable);
    json_object_put(reply);
    return sample;
}

static bool find_unwritable(LibvirtCounters *counters, int64_t timeout_ms, GError **error)
{
    json_object *reply = libvirt_service_call(counters->service, "disks", NULL, timeout_ms, error);
    json_object *list = json_field_array(reply, "disks");

    for (size_t i = 0; i < json_field_length(list, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        const char *name = json_field_string(element, "name");
        bool writable = true;
        json_field_boolean(element, "writable", &writable);
        if (name && !writable)
            g_hash_table_add(counters->unwritable, g_strdup(name));
    }
    bool known = reply != NULL;
    json_object_put(reply);
    return known;
}

static const CounterSourceCalls libvirt_counters_calls = {
    .sample = libvirt_counters_sample,
    .set_interrupt_fd = libvirt_counters_set_interrupt_fd,
    .free = libvirt_counters_free,
};

CounterSource *libvirt_counters_new(const char *uri, const char *domain, int64_t timeout_ms,
                                    int interrupt_fd, GError **error)
{
    LibvirtCounters *counters = g_new0(LibvirtCounters, 1);

    counters->service = libvirt_service_new(uri, domain, timeout_ms);
    counters->unwritable = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    libvirt_service_set_interrupt_fd(counters->service, interrupt_fd);

    g_autoptr(CounterSource) source = counter_source_new(&libvirt_counters_calls, counters);
    if (!find_unwritable(counters, timeout_ms, error))
        return NULL;
    g_autoptr(GArray) sample = counter_source_sample(source, timeout_ms, error);
    return sample ? g_steal_pointer(&source) : NULL;
}
