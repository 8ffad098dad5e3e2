/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-source.h"
#include "prober/qmp.h"

#include <glib.h>

/*
 * Write counters of a guest's disks out of QMP: query-blockstats, and query-block for which devices
 * can be written to at all. A completed write is counted when the device finishes it, before the
 * guest hears of it (QEMU, block/accounting.c), so whatever a guest wrote before it answered a
 * request is in the counters.
 */

/* qmp is taken over, on failure too. NULL with PROBE_ERROR_QMP. */
CounterSource *block_counters_new(Qmp *qmp, int64_t timeout_ms, GError **error);

/* The pure parts. unwritable: set of char *, as block_counters_find_unwritable() makes it from
 * query-block's "return": devices without a medium and read-only ones. */
GHashTable *block_counters_find_unwritable(json_object *query_block);
GArray *block_counters_read(json_object *query_blockstats, GHashTable *unwritable);
/* What a device is called in evidence: a drive's name, the path of the device model of a -blockdev,
 * or the node, whichever is there; borrowed from element, one of query-block or query-blockstats.
 * NULL: none. */
const char *block_counters_device_name(json_object *element);
