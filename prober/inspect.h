/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/evidence.h"
#include "prober/verdict.h"

#include <glib.h>
#include <stdint.h>

/*
 * The verdict on a snapshot after the fact: what the filesystems in its images say. Several images
 * are the disks of one guest, for volume groups and btrfs may lie across them. Nothing is written.
 */
typedef struct {
    const char *const *addresses; /* as prober/disk/disk-image.h takes them; NULL-terminated */
    const char *format;           /* NULL: found out */
    const char *snapshot;         /* an internal snapshot; NULL: the image as it is */
    int64_t timeout_ms;           /* for opening, and for each read */
    int interrupt_fd;             /* -1: none */
} InspectRequest;

typedef struct {
    char *address;
    uint64_t size;
    uint64_t bytes_read;
} InspectedImage;

typedef struct {
    GPtrArray *images;   /* of InspectedImage */
    GPtrArray *volumes;  /* of Volume: all that were found */
    GPtrArray *states;   /* of FilesystemState */
    GPtrArray *evidence; /* of Evidence; one piece */
    Verdict verdict;
    Consistency consistency;
} InspectReport;

/* NULL with PROBE_ERROR_DISK when an image cannot be opened. */
InspectReport *inspect_run(const InspectRequest *request, GError **error);
void inspect_report_free(InspectReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InspectReport, inspect_report_free)
