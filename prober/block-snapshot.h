/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/qmp.h"

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * An external snapshot of all writable disks of a virtual machine in one QMP transaction of
 * blockdev-snapshot-sync, which happens to all of them at one moment or to none. Each disk goes on
 * in a new image file; the image that it had until then is the snapshot, and no longer written to:
 * the new one lies on top of it. Source: QEMU, docs/interop/live-block-operations and the QMP
 * reference, "transaction".
 */
typedef struct {
    char *name;      /* as in the counters */
    char *device;    /* the drive's name in QMP, NULL: it has none, and node_name is used */
    char *node_name; /* NULL: none told */
    char *image;  /* what it writes to so far, in QEMU's words: after the snapshot, the snapshot */
    char *format; /* of that: "raw", "qcow2" */
    char *new_image; /* what it writes to afterwards; an absolute path */
} SnapshotDisk;

void snapshot_disk_free(SnapshotDisk *disk);

/* The writable disks in query-block's "return", and new images for them in folder, an absolute
 * path. NULL with PROBE_ERROR_QMP when there is none. Pure. */
GPtrArray *block_snapshot_plan(json_object *query_block, const char *folder, GError **error);

/* The arguments of the transaction. Pure, but for random node names. */
json_object *block_snapshot_request(const GPtrArray *disks);

/* Whether each new image can be made: the folder can be written to and has room, and none of the
 * files is there. PROBE_ERROR_DISK. */
bool block_snapshot_check_folder(const GPtrArray *disks, const char *folder, GError **error);

typedef enum {
    BLOCK_SNAPSHOT_TAKEN,
    BLOCK_SNAPSHOT_REFUSED, /* nothing has changed */
    BLOCK_SNAPSHOT_UNKNOWN, /* QEMU did not answer: it may have been taken or still be */
} BlockSnapshotOutcome;

/* Takes it. With an error unless it was taken. */
BlockSnapshotOutcome block_snapshot_take(Qmp *qmp, const GPtrArray *disks, int64_t timeout_ms,
                                         GError **error);

/* Removes the new images of a snapshot that was refused, as far as QEMU had made them already; asks
 * it first whether it uses one of them. Returns how many are left behind. */
unsigned block_snapshot_clean_up(Qmp *qmp, const GPtrArray *disks, int64_t timeout_ms);
