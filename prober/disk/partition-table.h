/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/volume-window.h"

#include <glib.h>
#include <stdint.h>

/* Partitions as libblkid reads them: MBR with logical ones, GPT (its backup, too, where the first
 * is damaged; also on disks with sectors of 4096 bytes), and what else it knows. */
typedef struct {
    unsigned number; /* as Linux counts them */
    uint64_t offset; /* in bytes */
    uint64_t size;
} Partition;

#define PARTITION_TABLE_MAX 256

/* Of Partition, without extended partitions; empty when there is no table. Copies what it needs
 * into the window. NULL with PROBE_ERROR_DISK. */
GArray *partition_table_read(VolumeWindow *window, GError **error);
