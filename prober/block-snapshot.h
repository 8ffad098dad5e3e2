/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/qmp.h"
#include "prober/snapshot-taker.h"

#include <glib.h>
#include <json-c/json.h>
#include <stdint.h>

/*
 * A snapshot by one QMP transaction of blockdev-snapshot-sync, which happens to all disks at one
 * moment or to none. Source: QEMU, docs/interop/live-block-operations and the QMP reference,
 * "transaction".
 */

/* qmp is taken over. */
SnapshotTaker *block_snapshot_new(Qmp *qmp, int64_t timeout_ms);

/* The writable disks in query-block's "return", and new images for them in folder, an absolute
 * path. NULL with PROBE_ERROR_QMP when there is none. Pure. */
GPtrArray *block_snapshot_plan(json_object *query_block, const char *folder, GError **error);

/* The arguments of the transaction. Pure, but for random node names. */
json_object *block_snapshot_request(const GPtrArray *disks);
