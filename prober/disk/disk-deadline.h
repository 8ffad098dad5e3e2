/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A limit on the time that many reads may take together, of several disks: while a guest is held
 * frozen, one slow read after the other must not add up. A read that has begun is not cut short;
 * that is up to the timeout of what is read from.
 */
typedef struct DiskDeadline DiskDeadline;

/* Without a limit at first. */
DiskDeadline *disk_deadline_new(void);
/* The bytes that were wrapped stay usable. */
void disk_deadline_unref(DiskDeadline *deadline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskDeadline, disk_deadline_unref)

/* From now on for so long. */
void disk_deadline_start(DiskDeadline *deadline, int64_t limit_ms);
/* Whether a read was refused since the start. */
bool disk_deadline_was_missed(const DiskDeadline *deadline);

/* The same bytes, with reads refused (PROBE_ERROR_DISK) once the time is over. Takes its own
 * references. */
DiskBytes *disk_deadline_wrap(DiskDeadline *deadline, DiskBytes *bytes);
