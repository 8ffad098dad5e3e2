/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <blkid.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * libblkid reads a file descriptor, while a guest's disk may be behind NBD. The window is a sparse
 * file in memory, as large as the volume, into which only the places are copied where libblkid
 * looks for magic numbers and tables: the head and the tail, and what volume_window_copy() adds.
 * Everything else in it reads as zeros.
 * Sources: util-linux, libblkid/src/superblocks (offsets of the magic numbers: btrfs and reiserfs
 * at 64 KiB, zfs up to 256 KiB, md 0.90 up to 128 KiB before the end) and libblkid/src/partitions.
 */
#define VOLUME_WINDOW_HEAD_BYTES (256u * 1024)
#define VOLUME_WINDOW_TAIL_BYTES (128u * 1024)
/* All additions to one window together. */
#define VOLUME_WINDOW_EXTRA_BYTES (256u * 1024)

typedef struct VolumeWindow VolumeWindow;

/* Takes a reference on bytes. NULL with PROBE_ERROR_DISK. */
VolumeWindow *volume_window_new(DiskBytes *bytes, GError **error);
void volume_window_free(VolumeWindow *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VolumeWindow, volume_window_free)

/* Shows one place more; what exceeds the volume is left out. */
bool volume_window_copy(VolumeWindow *window, uint64_t offset, uint64_t length, GError **error);
/* Reads back what is shown at offset, zeros where nothing is. */
bool volume_window_read(const VolumeWindow *window, uint64_t offset, void *buffer, size_t length);
uint64_t volume_window_size(const VolumeWindow *window);
/* Whether nothing but zeros was copied. */
bool volume_window_is_blank(const VolumeWindow *window);

/* A probe of the whole volume, with no chain enabled. The window must outlive it; the caller frees
 * it. NULL with PROBE_ERROR_DISK. */
blkid_probe volume_window_probe(const VolumeWindow *window, GError **error);

G_DEFINE_AUTO_CLEANUP_FREE_FUNC(blkid_probe, blkid_free_probe, NULL)
