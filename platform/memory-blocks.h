/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Memory that can be switched on and off (/sys/devices/system/memory; Linux,
 * Documentation/admin-guide/mm/memory-hotplug).
 */
typedef struct {
    uint64_t index; /* its address divided by the block size */
    bool online;
    bool can_offline;
} MemoryBlock;

/* A GArray of MemoryBlock, ascending; owned by the caller. NULL with an error: G_FILE_ERROR_NOENT
 * when the kernel has no memory hotplug. */
GArray *memory_blocks_read(GError **error);

/* Bytes of each block. */
bool memory_blocks_read_size(uint64_t *size_bytes, GError **error);

typedef enum {
    MEMORY_BLOCK_DONE,
    MEMORY_BLOCK_NOT_FOUND,
    MEMORY_BLOCK_NOT_SUPPORTED, /* the kernel has no switch for it */
    MEMORY_BLOCK_FAILED,        /* the kernel refused: pages in use, say */
} MemoryBlockResult;

/* error_number: errno, 0 when done. One that is so already is done. */
MemoryBlockResult memory_block_set_online(uint64_t index, bool online, int *error_number);
