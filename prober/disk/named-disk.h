/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>

/* One disk of a guest: what evidence names it by. */
typedef struct {
    char *name; /* an image's address, or the device or node name as in the counters */
    DiskBytes *bytes;
} NamedDisk;

NamedDisk *named_disk_new(const char *name, DiskBytes *bytes); /* takes its own reference */
void named_disk_free(NamedDisk *disk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NamedDisk, named_disk_free)
