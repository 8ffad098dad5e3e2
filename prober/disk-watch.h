/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/evidence-disk.h"
#include "prober/interrupt.h"
#include "prober/qmp.h"
#include "prober/target.h"

#include <glib.h>
#include <stdint.h>

/*
 * Reads the filesystems' metadata out of a running guest's disks, before a freeze and during the
 * hold. What goes wrong is in the findings, and never stops a procedure.
 */
typedef struct DiskWatch DiskWatch;

/* How long one reading may take while the guest is held; a single read that hangs then adds as much
 * again. */
#define DISK_WATCH_LIMIT_MS 1000
/* And opening images anew, before each. */
#define DISK_WATCH_IMAGES_LIMIT_MS 2000
#define DISK_WATCH_READINGS_IN_HOLD 2

/* Without disks, for the reason given (copied; remedy is static and may be NULL). */
DiskWatch *disk_watch_new_unavailable(const char *why, const char *remedy);
/* Exports the guest's disks and finds what is on them. qmp is borrowed and must outlive the watch;
 * its calls must not be interrupted from here on, for the exports have to be removed. */
DiskWatch *disk_watch_new(Qmp *qmp, int64_t timeout_ms, int interrupt_fd);
/* The same out of the files that libvirt names, without QEMU's help: both readings in the hold must
 * be complete, and libvirt must name the same files after each. target is borrowed and must outlive
 * the watch. */
DiskWatch *disk_watch_new_images(const Target *target, int64_t timeout_ms, int interrupt_fd);
/* Removes the exports. */
void disk_watch_close(DiskWatch *watch);
void disk_watch_free(DiskWatch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskWatch, disk_watch_free)

/* Before the freeze: until each filesystem was seen in use, a few times in half a second. False
 * with PROBE_ERROR_INTERRUPTED only. */
bool disk_watch_read_before(DiskWatch *watch, Interrupt *interrupt, GError **error);
/* Once, at most DISK_WATCH_LIMIT_MS and one read. */
void disk_watch_read_in_hold(DiskWatch *watch);
/* There was no hold to read in. */
void disk_watch_lose(DiskWatch *watch, const char *why);

/* Borrowed, until the watch is freed. */
const DiskFindings *disk_watch_findings(const DiskWatch *watch);
/* NULL when nothing was read. The watch keeps none. */
DiskHistory *disk_watch_steal_history(DiskWatch *watch);
