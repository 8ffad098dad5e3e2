/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/filesystem-state.h"

#include <stdbool.h>

/*
 * ext2, ext3 and ext4. A mount for writing sets INCOMPAT_RECOVER (needs_recovery) before anything
 * else, and only a freeze (after the journal has been flushed), a clean unmount and a remount
 * read-only clear it: what it says is certain. Orphans say nothing: files that were deleted while
 * open stay on the list through a freeze.
 *
 * Without a journal there is only VALID_FS in s_state. Linux' ext4 driver clears it when it mounts
 * for writing and a freeze does not set it again; the former ext2 driver set it in a freeze. So
 * VALID_FS means quiet, and its absence nothing.
 *
 * A journal on another device is not looked at, and then nothing is said.
 * Source: Linux, Documentation/filesystems/ext4 (super.rst, journal.rst); fs/ext4/super.c.
 */
bool ext_state_recognises(DiskBytes *bytes);
/* Never NULL. Sets all but volume; owned by the caller. */
FilesystemState *ext_state_read(DiskBytes *bytes);
