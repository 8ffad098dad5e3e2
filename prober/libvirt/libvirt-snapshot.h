/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/snapshot-taker.h"

#include <glib.h>
#include <stdint.h>

/*
 * Snapshots of a domain's disks by virDomainSnapshotCreateXML: external ones, all disks at once or
 * none (DISK_ONLY, ATOMIC), of which libvirt keeps no record of its own (NO_METADATA). libvirt
 * makes the new images and removes them when it fails. It is not asked to quiesce: who freezes
 * knows what was frozen. uri and domain as in libvirt_service_new().
 */
SnapshotTaker *libvirt_snapshot_new(const char *uri, const char *domain, int64_t timeout_ms,
                                    int interrupt_fd, GError **error);

/* Its argument: disks are of SnapshotDisk. Source: libvirt, docs/formatsnapshot. Pure. */
char *libvirt_snapshot_xml(const GPtrArray *disks);
