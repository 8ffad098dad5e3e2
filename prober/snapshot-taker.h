/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * Who takes an external snapshot of all writable disks of a virtual machine, at one moment or not
 * at all: QEMU (prober/block-snapshot.h) or libvirt (prober/libvirt/libvirt-snapshot.h). Each disk
 * goes on in a new image file; the image that it had until then is the snapshot, and no longer
 * written to: the new one lies on top of it. target_snapshots() (prober/target.h) makes the one
 * that fits.
 */
typedef struct {
    char *name;      /* as in the counters */
    char *device;    /* QMP: the drive's name; NULL: it has none, and node_name is used */
    char *node_name; /* QMP: NULL: none told */
    char *image;  /* what it writes to so far, as QEMU names it; after the snapshot, the snapshot;
                     NULL: not told */
    char *format; /* of that: "raw", "qcow2"; NULL: not told */
    char *new_image; /* what it writes to afterwards; an absolute path */
} SnapshotDisk;

void snapshot_disk_free(SnapshotDisk *disk);

/* A new image for a disk in folder: a path like no other among disks, of SnapshotDisk. */
char *snapshot_disk_choose_image(const GPtrArray *disks, const char *name, const char *folder);

/* Whether the path is the new image of one of them. */
bool snapshot_disks_have_new_image(const GPtrArray *disks, const char *path);

/* Whether each new image can be made: the folder can be written to and has room, and none of the
 * files is there. PROBE_ERROR_DISK. */
bool snapshot_disks_check_folder(const GPtrArray *disks, const char *folder, GError **error);

typedef enum {
    SNAPSHOT_TAKEN,
    SNAPSHOT_REFUSED, /* nothing has changed */
    SNAPSHOT_UNKNOWN, /* there was no answer: it may have been taken or still be */
} SnapshotOutcome;

typedef struct {
    /* The writable disks, with new images for them in folder, an absolute path: a GPtrArray of
     * SnapshotDisk, never empty. NULL with an error. Changes nothing. */
    GPtrArray *(*plan)(void *data, const char *folder, GError **error);
    /* The disks' write counters (counter_sample_new()). NULL with an error. */
    GArray *(*sample)(void *data, GError **error);
    /* Takes it. With an error unless it was taken. */
    SnapshotOutcome (*take)(void *data, const GPtrArray *disks, GError **error);
    /* Whether the machine answers, and runs on none of the new images. */
    bool (*has_not_happened)(void *data, const GPtrArray *disks);
    void (*set_interrupt_fd)(void *data, int interrupt_fd);
    void (*free)(void *data);
} SnapshotTakerCalls;

typedef struct SnapshotTaker SnapshotTaker;

/* calls is static; data is taken over. */
SnapshotTaker *snapshot_taker_new(const SnapshotTakerCalls *calls, void *data);
void snapshot_taker_free(SnapshotTaker *taker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SnapshotTaker, snapshot_taker_free)

GPtrArray *snapshot_taker_plan(SnapshotTaker *taker, const char *folder, GError **error);
GArray *snapshot_taker_sample(SnapshotTaker *taker, GError **error);
SnapshotOutcome snapshot_taker_take(SnapshotTaker *taker, const GPtrArray *disks, GError **error);
void snapshot_taker_set_interrupt_fd(SnapshotTaker *taker, int interrupt_fd);

/* Removes the new images of a snapshot that was refused, as far as they had been made already,
 * unless one of them is in use after all. Returns how many are left behind. */
unsigned snapshot_taker_clean_up(SnapshotTaker *taker, const GPtrArray *disks);
