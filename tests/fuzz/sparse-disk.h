/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <stddef.h>
#include <stdint.h>

/*
 * A large disk in a small input: its size in KiB (4 bytes), then sectors, each its number (4 bytes)
 * and SPARSE_DISK_SECTOR_BYTES of content; all else reads as zeros. Numbers are little-endian.
 */
#define SPARSE_DISK_SECTOR_BYTES 512
#define SPARSE_DISK_RECORD_BYTES (4 + SPARSE_DISK_SECTOR_BYTES)

/* A copy of the input. NULL when that is too short. */
DiskBytes *sparse_disk_new(const uint8_t *input, size_t length);
