/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The block devices of the machine (/sys/block; Linux, Documentation/ABI/stable/sysfs-block): disks
 * with a medium, each followed by its partitions.
 */
typedef struct {
    char *node; /* "/dev/vda1" */
    dev_t device;
    bool partition;
    char *alias;         /* a device mapper's name: "vg-root"; NULL for all others */
    char **dependencies; /* what it lies on: nodes; never NULL */
} ListedDisk;

/* A GPtrArray of ListedDisk; owned by the caller. NULL with an error. */
GPtrArray *disk_list_read(GError **error);

/* What has been read and written (/proc/diskstats; Linux, Documentation/admin-guide/iostats). */
typedef enum {
    DISK_COLUMNS_BASIC = 11,
    DISK_COLUMNS_DISCARD = 15, /* since Linux 4.18 */
    DISK_COLUMNS_FLUSH = 17,   /* since Linux 5.5 */
} DiskColumns;

typedef struct {
    char name[64];
    unsigned major, minor;
    DiskColumns n_columns;
    uint64_t columns[DISK_COLUMNS_FLUSH]; /* in the order of the file */
} DiskStatistics;

/* A GArray of DiskStatistics in the kernel's order; owned by the caller. NULL with an error. */
GArray *disk_statistics_read(GError **error);
/* The same out of the file's text. Pure. */
GArray *disk_statistics_parse(const char *text);
