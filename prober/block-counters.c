/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/block-counters.h"
#include "prober/json-field.h"

struct BlockCounters {
    Qmp *qmp;
    GHashTable *unwritable;
};

/* A drive's name, the path of the device model of a -blockdev, or the node: whichever is there. */
static const char *device_name(json_object *element)
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
        const char *name = device_name(element);
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
        const char *name = device_name(element);
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

BlockCounters *block_counters_new(Qmp *qmp, int64_t timeout_ms, GError **error)
{
    g_autoptr(Qmp) owned = qmp;
    json_object *reply = qmp_call(qmp, "query-block", NULL, timeout_ms, error);

    if (!reply)
        return NULL;
    BlockCounters *counters = g_new0(BlockCounters, 1);
    counters->qmp = g_steal_pointer(&owned);
    counters->unwritable = block_counters_find_unwritable(reply);
    json_object_put(reply);
    return counters;
}

void block_counters_free(BlockCounters *counters)
{
    qmp_free(counters->qmp);
    g_hash_table_unref(counters->unwritable);
    g_free(counters);
}

void block_counters_set_interrupt_fd(BlockCounters *counters, int interrupt_fd)
{
    qmp_set_interrupt_fd(counters->qmp, interrupt_fd);
}

GArray *block_counters_sample(BlockCounters *counters, int64_t timeout_ms, GError **error)
{
    json_object *reply = qmp_call(counters->qmp, "query-blockstats", NULL, timeout_ms, error);

    if (!reply)
        return NULL;
    GArray *sample = block_counters_read(reply, counters->unwritable);
    json_object_put(reply);
    return sample;
}
