/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/block-counters.h"
#include "prober/json-field.h"

typedef struct {
    Qmp *qmp;
    GHashTable *unwritable;
} BlockCounters;

const char *block_counters_device_name(json_object *element)
{
    static const char *const members[] = {"device", "qdev", "node-name"};

    for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
        const char *name = json_field_string(element, members[i]);
        if (name && *name != '\0')
            return name;
    }
    return NULL;
}

GHashTable *block_counters_find_unwritable(json_object *query_block)
{
    GHashTable *unwritable = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (size_t i = 0; i < json_field_length(query_block, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(query_block, i);
        json_object *inserted = json_field_object(element, "inserted");
        const char *name = block_counters_device_name(element);
        bool read_only = !inserted;
        json_field_boolean(inserted, "ro", &read_only);
        if (name && read_only)
            g_hash_table_add(unwritable, g_strdup(name));
    }
    return unwritable;
}

GArray *block_counters_read(json_object *query_blockstats, GHashTable *unwritable)
{
    GArray *sample = counter_sample_new();

    for (size_t i = 0; i < json_field_length(query_blockstats, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(query_blockstats, i);
        json_object *stats = json_field_object(element, "stats");
        const char *name = block_counters_device_name(element);
        int64_t writes = 0;
        int64_t bytes = 0;
        if (!name || g_hash_table_contains(unwritable, name) ||
            !json_field_integer(stats, "wr_operations", &writes) ||
            !json_field_integer(stats, "wr_bytes", &bytes))
            continue;
        counter_sample_add(sample, name, (uint64_t)writes, (uint64_t)bytes);
    }
    return sample;
}

static GArray *block_counters_sample(void *data, int64_t timeout_ms, GError **error)
{
    BlockCounters *counters = data;
    json_object *reply = qmp_call(counters->qmp, "query-blockstats", NULL, timeout_ms, error);

    if (!reply)
        return NULL;
    GArray *sample = block_counters_read(reply, counters->unwritable);
    json_object_put(reply);
    return sample;
}

static void block_counters_set_interrupt_fd(void *data, int interrupt_fd)
{
    qmp_set_interrupt_fd(((BlockCounters *)data)->qmp, interrupt_fd);
}

static void block_counters_free(void *data)
{
    BlockCounters *counters = data;

    qmp_free(counters->qmp);
    g_hash_table_unref(counters->unwritable);
    g_free(counters);
}

static Qmp *block_counters_qmp(void *data)
{
    BlockCounters *counters = data;

    return counters->qmp;
}

static const CounterSourceCalls block_counters_calls = {
    .sample = block_counters_sample,
    .set_interrupt_fd = block_counters_set_interrupt_fd,
    .free = block_counters_free,
    .qmp = block_counters_qmp,
};

CounterSource *block_counters_new(Qmp *qmp, int64_t timeout_ms, GError **error)
{
    g_autoptr(Qmp) owned = qmp;
    json_object *reply = qmp_call(qmp, "query-block", NULL, timeout_ms, error);

    if (!reply)
        return NULL;
    BlockCounters *counters = g_new0(BlockCounters, 1);
    counters->qmp = g_steal_pointer(&owned);
    counters->unwritable = block_counters_find_unwritable(reply);
    json_object_put(reply);
    return counter_source_new(&block_counters_calls, counters);
}
