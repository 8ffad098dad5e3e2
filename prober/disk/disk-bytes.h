/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Read access to a run of bytes of a guest's disk: an image, a partition of it, a logical volume.
 * What is read is counted, and bounded by a budget that slices share with what they were cut from:
 * a superblock that lies about sizes makes nobody read a whole image.
 * All errors are PROBE_ERROR_DISK.
 */
typedef struct DiskBytes DiskBytes;

/* Reads exactly length bytes; offset + length never exceeds the size. */
typedef bool (*DiskBytesRead)(void *data, uint64_t offset, void *buffer, size_t length,
                              GError **error);

/* What may be read of one disk altogether. */
#define DISK_BYTES_BUDGET (256u * 1024 * 1024)

DiskBytes *disk_bytes_new(uint64_t size, DiskBytesRead read, void *data, GDestroyNotify free_data);
/* The memory is not copied and must outlive the bytes: for tests and fuzzing. */
DiskBytes *disk_bytes_new_memory(const void *memory, size_t size);
DiskBytes *disk_bytes_ref(DiskBytes *bytes);
void disk_bytes_unref(DiskBytes *bytes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskBytes, disk_bytes_unref)

/* A part; it is cut short where it would exceed the whole. Holds a reference on whole. */
DiskBytes *disk_bytes_slice(DiskBytes *whole, uint64_t offset, uint64_t size);
/* Several runs, one after the other: a logical volume. parts: of DiskBytes, references are taken.
 * Budgets stay those of the parts. */
DiskBytes *disk_bytes_concat(const GPtrArray *parts);

uint64_t disk_bytes_size(const DiskBytes *bytes);
/* False with an error when the range exceeds the size, the budget is used up, or reading failed. */
bool disk_bytes_read(DiskBytes *bytes, uint64_t offset, void *buffer, size_t length,
                     GError **error);
/* How many bytes were read of the disk that these belong to. */
uint64_t disk_bytes_count_read(const DiskBytes *bytes);
