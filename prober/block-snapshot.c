/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/block-snapshot.h"
#include "prober/block-counters.h"
#include "prober/counter-watch.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"

static char *text_or_null(json_object *object, const char *member)
{
    const char *text = json_field_string(object, member);

    return text && *text != '\0' ? g_strdup(text) : NULL;
}

static SnapshotDisk *disk_read(json_object *element)
{
    json_object *inserted = json_field_object(element, "inserted");
    bool read_only = true;

    json_field_boolean(inserted, "ro", &read_only);
    if (!inserted || read_only)
        return NULL;

    SnapshotDisk *disk = g_new0(SnapshotDisk, 1);
    disk->device = text_or_null(element, "device");
    disk->node_name = text_or_null(inserted, "node-name");
    disk->image = text_or_null(inserted, "file");
    disk->format = text_or_null(inserted, "drv");
    disk->name = g_strdup(disk->device);
    if (!disk->name)
        disk->name = text_or_null(element, "qdev");
    if (!disk->name)
        disk->name = g_strdup(disk->node_name);
    return disk;
}

GPtrArray *block_snapshot_plan(json_object *query_block, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)snapshot_disk_free);

    for (size_t i = 0; i < json_field_length(query_block, COUNTER_WATCH_MAX_DEVICES); i++) {
        SnapshotDisk *disk = disk_read(json_object_array_get_idx(query_block, i));
        if (!disk)
            continue;
        if (!disk->name) {
            snapshot_disk_free(disk);
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP,
                        "QEMU has a writable disk without any name: no snapshot can be asked for");
            return NULL;
        }
        disk->new_image = snapshot_disk_choose_image(disks, disk->name, folder);
        g_ptr_array_add(disks, disk);
    }
    if (disks->len > 0)
        return g_steal_pointer(&disks);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP,
                "the virtual machine has no disk that can be written to");
    return NULL;
}

static json_object *action(const SnapshotDisk *disk)
{
    json_object *data = json_object_new_object();
    json_object *object = json_object_new_object();

    if (disk->device) {
        json_object_object_add(data, "device", json_object_new_string(disk->device));
    } else {
        g_autofree char *fresh = g_strdup_printf("quiesce-%08x", g_random_int());
        json_object_object_add(data, "node-name", json_object_new_string(disk->node_name));
        json_object_object_add(data, "snapshot-node-name", json_object_new_string(fresh));
    }
    json_object_object_add(data, "snapshot-file", json_object_new_string(disk->new_image));
    json_object_object_add(data, "format", json_object_new_string("qcow2"));
    json_object_object_add(object, "type", json_object_new_string("blockdev-snapshot-sync"));
    json_object_object_add(object, "data", data);
    return object;
}

json_object *block_snapshot_request(const GPtrArray *disks)
{
    json_object *actions = json_object_new_array();
    json_object *arguments = json_object_new_object();

    for (unsigned i = 0; i < disks->len; i++)
        json_object_array_add(actions, action(g_ptr_array_index(disks, i)));
    json_object_object_add(arguments, "actions", actions);
    return arguments;
}

/* ---- through QEMU's monitor ---- */

typedef struct {
    Qmp *qmp;
    int64_t timeout_ms;
    GHashTable *unwritable; /* devices whose counters do not count; NULL: not known yet */
} Monitor;

static GPtrArray *monitor_plan(void *data, const char *folder, GError **error)
{
    Monitor *monitor = data;
    json_object *reply = qmp_call(monitor->qmp, "query-block", NULL, monitor->timeout_ms, error);

    if (!reply)
        return NULL;
    g_clear_pointer(&monitor->unwritable, g_hash_table_unref);
    monitor->unwritable = block_counters_find_unwritable(reply);
    GPtrArray *disks = block_snapshot_plan(reply, folder, error);
    json_object_put(reply);
    return disks;
}

static GArray *monitor_sample(void *data, GError **error)
{
    Monitor *monitor = data;
    json_object *reply =
        qmp_call(monitor->qmp, "query-blockstats", NULL, monitor->timeout_ms, error);

    if (!reply)
        return NULL;
    GArray *now = block_counters_read(reply, monitor->unwritable);
    json_object_put(reply);
    return now;
}

static bool monitor_has_not_happened(void *data, const GPtrArray *disks)
{
    Monitor *monitor = data;
    json_object *reply = qmp_call(monitor->qmp, "query-block", NULL, monitor->timeout_ms, NULL);
    bool used = !reply;

    for (size_t i = 0; i < json_field_length(reply, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(reply, i);
        const char *file = json_field_string(json_field_object(element, "inserted"), "file");
        used = used || (file && snapshot_disks_have_new_image(disks, file));
    }
    json_object_put(reply);
    return !used;
}

static SnapshotOutcome monitor_take(void *data, const GPtrArray *disks, GError **error)
{
    Monitor *monitor = data;
    json_object *arguments = block_snapshot_request(disks);
    json_object *reply =
        qmp_call(monitor->qmp, "transaction", arguments, monitor->timeout_ms, error);
    bool taken = reply != NULL;

    json_object_put(arguments);
    json_object_put(reply);
    if (taken)
        return SNAPSHOT_TAKEN;
    /* A connection that is lost fails every further call. */
    return monitor_has_not_happened(monitor, disks) ? SNAPSHOT_REFUSED : SNAPSHOT_UNKNOWN;
}

static void monitor_set_interrupt_fd(void *data, int interrupt_fd)
{
    Monitor *monitor = data;

    qmp_set_interrupt_fd(monitor->qmp, interrupt_fd);
}

static void monitor_free(void *data)
{
    Monitor *monitor = data;

    qmp_free(monitor->qmp);
    g_clear_pointer(&monitor->unwritable, g_hash_table_unref);
    g_free(monitor);
}

SnapshotTaker *block_snapshot_new(Qmp *qmp, int64_t timeout_ms)
{
    static const SnapshotTakerCalls calls = {
        .plan = monitor_plan,
        .sample = monitor_sample,
        .take = monitor_take,
        .has_not_happened = monitor_has_not_happened,
        .set_interrupt_fd = monitor_set_interrupt_fd,
        .free = monitor_free,
    };
    Monitor *monitor = g_new0(Monitor, 1);

    monitor->qmp = qmp;
    monitor->timeout_ms = timeout_ms;
    return snapshot_taker_new(&calls, monitor);
}
