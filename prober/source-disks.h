/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/named-disk.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A running guest's disks, read in the files that its QEMU writes: what there is where nobody lets
 * us ask QEMU itself. QEMU keeps part of a qcow2's tables in memory until its guest flushes, and we
 * see them as they were when the image was opened. So images are opened anew for each reading, and
 * what is read of one that is written to meanwhile means nothing.
 */

/* sources: of TargetDiskSource (prober/target.h). Of NamedDisk: those that could be opened, within
 * limit_ms altogether; never NULL. What could not is told in problems (of char *). */
GPtrArray *source_disks_open(const GPtrArray *sources, int64_t limit_ms, int interrupt_fd,
                             GPtrArray *problems);

/* Whether two lists name the same disks at the same places: not, once somebody takes a snapshot. */
bool source_disks_are_same(const GPtrArray *sources, const GPtrArray *others);
