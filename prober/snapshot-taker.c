/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/snapshot-taker.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What a fresh qcow2 image takes, and some for what the guest writes until somebody looks. */
#define ROOM_PER_DISK_BYTES (16u * 1024 * 1024)
#define MEBIBYTE (1024.0 * 1024)
#define PERIPHERAL "/machine/peripheral/"

struct SnapshotTaker {
    const SnapshotTakerCalls *calls;
    void *data;
};

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

/* "disk-data" of "/machine/peripheral/disk-data/virtio-backend", the id that -device gave. */
static char *short_name(const char *name)
{
    if (!g_str_has_prefix(name, PERIPHERAL))
        return g_strdup(name);
    g_auto(GStrv) parts = g_strsplit(name + strlen(PERIPHERAL), "/", 2);
    return g_strdup(parts[0]);
}

bool snapshot_disks_have_new_image(const GPtrArray *disks, const char *path)
{
    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (g_strcmp0(disk->new_image, path) == 0)
            return true;
    }
    return false;
}

char *snapshot_disk_choose_image(const GPtrArray *disks, const char *disk_name, const char *folder)
{
    g_autofree char *name = short_name(disk_name);

    g_strcanon(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.", '-');
    if (*name == '.')
        *name = '-';
    for (unsigned number = 1;; number++) {
        g_autofree char *file = number == 1 ? g_strdup_printf("%s.qcow2", name)
                                            : g_strdup_printf("%s-%u.qcow2", name, number);
        g_autofree char *path = g_build_filename(folder, file, NULL);
        if (!snapshot_disks_have_new_image(disks, path))
            return g_steal_pointer(&path);
    }
}

bool snapshot_disks_check_folder(const GPtrArray *disks, const char *folder, GError **error)
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

SnapshotTaker *snapshot_taker_new(const SnapshotTakerCalls *calls, void *data)
{
    SnapshotTaker *taker = g_new0(SnapshotTaker, 1);

    taker->calls = calls;
    taker->data = data;
    return taker;
}

void snapshot_taker_free(SnapshotTaker *taker)
{
    taker->calls->free(taker->data);
    g_free(taker);
}

GPtrArray *snapshot_taker_plan(SnapshotTaker *taker, const char *folder, GError **error)
{
    return taker->calls->plan(taker->data, folder, error);
}

GArray *snapshot_taker_sample(SnapshotTaker *taker, GError **error)
{
    return taker->calls->sample(taker->data, error);
}

SnapshotOutcome snapshot_taker_take(SnapshotTaker *taker, const GPtrArray *disks, GError **error)
{
    return taker->calls->take(taker->data, disks, error);
}

void snapshot_taker_set_interrupt_fd(SnapshotTaker *taker, int interrupt_fd)
{
    taker->calls->set_interrupt_fd(taker->data, interrupt_fd);
}

unsigned snapshot_taker_clean_up(SnapshotTaker *taker, const GPtrArray *disks)
{
    bool may_remove = taker->calls->has_not_happened(taker->data, disks);
    unsigned left = 0;

    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        if (may_remove)
            unlink(disk->new_image);
        left += access(disk->new_image, F_OK) == 0;
    }
    return left;
}
