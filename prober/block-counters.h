/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-watch.h"
#include "prober/qmp.h"

#include <glib.h>

/*
 * Write counters of a guest's disks out of QMP: query-blockstats, and query-block for which devices
 * can be written to at all. A completed write is counted when the device finishes it, before the
 * guest hears of it (QEMU, block/accounting.c), so whatever a guest wrote before it answered a
 * request is in the counters.
 */
typedef struct BlockCounters BlockCounters;

/* qmp is taken over. */
BlockCounters *block_counters_new(Qmp *qmp, int64_t timeout_ms, GError **error);
void block_counters_free(BlockCounters *counters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockCounters, block_counters_free)

void block_counters_set_interrupt_fd(BlockCounters *counters, int interrupt_fd);

/* All writable devices now (counter_sample_new()); NULL with an error. */
GArray *block_counters_sample(BlockCounters *counters, int64_t timeout_ms, GError **error);

/* The pure parts. unwritable: set of char *, as block_counters_find_unwritable() makes it from
 * query-block's "return": devices without a medium and read-only ones. */
GHashTable *block_counters_find_unwritable(json_object *query_block);
GArray *block_counters_read(json_object *query_blockstats, GHashTable *unwritable);
