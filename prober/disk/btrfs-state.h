/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/filesystem-state.h"

#include <glib.h>
#include <stdbool.h>

/*
 * btrfs, of one or several devices. What lies on disk is whole at every moment: a commit writes
 * new trees and then the superblocks, with a generation one higher. Between commits an fsync writes
 * a log tree, and its place (log_root) into the superblock at 64 KiB alone; the next commit clears
 * it. A freeze commits: afterwards log_root is 0 and all superblocks are of one generation.
 *
 * So log_root tells for certain that the filesystem was in use, and so does a mirror, or a device,
 * that a commit had not reached. The opposite is not certain: without an fsync since the last
 * commit, which comes every 30 s, the superblock looks as after a freeze. Hence idle_alike.
 * Nor can an unmount be told from a freeze.
 */
bool btrfs_state_recognises(DiskBytes *bytes);

typedef struct BtrfsDevice BtrfsDevice;
/* Holds a reference on bytes, and reads the superblocks at once. */
BtrfsDevice *btrfs_device_new(const char *name, DiskBytes *bytes);
void btrfs_device_free(void *device);

/* devices: of BtrfsDevice. One FilesystemState, all set, for each filesystem they belong to. Two
 * devices with one number are taken for two copies of a filesystem. Never NULL. */
GPtrArray *btrfs_states_read(const GPtrArray *devices);
