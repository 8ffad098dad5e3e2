/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>

/* What something larger than one disk or partition is made into: an md array, a logical volume. */
typedef struct {
    char *name;
    char *disk;       /* the disk on which a part of it was first found */
    const char *type; /* static: what it is, for one without bytes */
    DiskBytes *bytes; /* NULL when it cannot be looked into: note says why */
    char *note;       /* NULL when there is nothing to say */
} StackedVolume;

/* bytes (a reference is taken) and note (taken over) may be NULL, not both. */
StackedVolume *stacked_volume_new(char *name, const char *disk, const char *type, DiskBytes *bytes,
                                  char *note);
void stacked_volume_free(StackedVolume *volume);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StackedVolume, stacked_volume_free)
