/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/block-snapshot.h"
#include "prober/counter-watch.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a fresh qcow2 image takes, and some for what the guest writes until somebody looks. */
#define ROOM_PER_DISK_BYTES (16u * 1024 * 1024)
#define MEBIBYTE (1024.0 * 1024)
#define PERIPHERAL "/machine/peripheral/"

void snapshot_disk_free(SnapshotDisk *disk)
{
    g_free(disk->name);
    g_free(disk->device);
    g_free(disk->node_name);
    g_free(disk->image);
    g_free(disk->format);
    g_free(disk->new_image);
    g_free(disk);
}

static char *text_or_null(json_object *object, const char *member)
{
    const char *text = json_field_string(object, member);

    return text && *text != '\0' ? g_strdup(text) : NULL;
}

/* "disk-data" of "/machine/peripheral/disk-data/virtio-backend", the id that -device gave. */
static char *short_name(const SnapshotDisk *disk)
{
    if (!g_str_has_prefix(disk->name, PERIPHERAL))
        return g_strdup(disk->name);
    g_auto(GStrv) parts = g_strsplit(disk->name + strlen(PERIPHERAL), "/", 2);
    return g_strdup(parts[0]);
}

static bool has_new_image(const GPtrArray *disks, const char *path)
{
    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (g_strcmp0(disk->new_image, path) == 0)
            return true;
    }
    return false;
}

static char *choose_new_image(const GPtrArray *disks, const SnapshotDisk *disk, const char *folder)
{
    g_autofree char *name = short_name(disk);

    g_strcanon(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.", '-');
    if (*name == '.')
        *name = '-';
    for (unsigned number = 1;; number++) {
        g_autofree char *file = number == 1 ? g_strdup_printf("%s.qcow2", name)
                                            : g_strdup_printf("%s-%u.qcow2", name, number);
        g_autofree char *path = g_build_filename(folder, file, NULL);
        if (!has_new_image(disks, path))
            return g_steal_pointer(&path);
    }
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
        disk->new_image = choose_new_image(disks, disk, folder);
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

bool block_snapshot_check_folder(const GPtrArray *disks, const char *folder, GError **error)
{
    struct statvfs space;

    if (access(folder, W_OK | X_OK) != 0 || statvfs(folder, &space) != 0) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot make images in %s: %s", folder,
                    g_strerror(errno));
        return false;
    }
    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (access(disk->new_image, F_OK) != 0)
            continue;
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                    "%s is there already, perhaps in use: give another --to", disk->new_image);
        return false;
    }

    double free_bytes = (double)space.f_bavail * (double)space.f_frsize;
    if (free_bytes >= (double)disks->len * ROOM_PER_DISK_BYTES)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                "%s has only %.0f MiB left, too little for %u new images that the guest will write "
                "to: give another --to",
                folder, free_bytes / MEBIBYTE, disks->len);
    return false;
}

/* Whether QEMU still answers, and uses none of the new images: then none of it has happened. */
static bool has_not_happened(Qmp *qmp, const GPtrArray *disks, int64_t timeout_ms)
{
    json_object *reply = qmp_call(qmp, "query-block", NULL, timeout_ms, NULL);
    bool used = !reply;

    for (size_t i = 0; i < json_field_length(reply, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(reply, i);
        const char *file = json_field_string(json_field_object(element, "inserted"), "file");
        used = used || (file && has_new_image(disks, file));
    }
    json_object_put(reply);
    return !used;
}

BlockSnapshotOutcome block_snapshot_take(Qmp *qmp, const GPtrArray *disks, int64_t timeout_ms,
                                         GError **error)
{
    json_object *arguments = block_snapshot_request(disks);
    json_object *reply = qmp_call(qmp, "transaction", arguments, timeout_ms, error);
    bool taken = reply != NULL;

    json_object_put(arguments);
    json_object_put(reply);
    if (taken)
        return BLOCK_SNAPSHOT_TAKEN;
    /* A connection that is lost fails every further call. */
    json_object *still_there = qmp_call(qmp, "query-status", NULL, timeout_ms, NULL);
    bool answered = still_there != NULL;
    json_object_put(still_there);
    return answered ? BLOCK_SNAPSHOT_REFUSED : BLOCK_SNAPSHOT_UNKNOWN;
}

unsigned block_snapshot_clean_up(Qmp *qmp, const GPtrArray *disks, int64_t timeout_ms)
{
    bool may_remove = has_not_happened(qmp, disks, timeout_ms);
    unsigned left = 0;

    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (may_remove)
            unlink(disk->new_image);
        left += access(disk->new_image, F_OK) == 0;
    }
    return left;
}
