/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>
#include <stdbool.h>

/* An image format as QEMU names it, found by magic number. Source: QEMU, docs/interop/qcow2.txt,
 * docs/interop/qed_spec.txt, block/vmdk.c, block/vdi.c, block/vhdx.h, block/vpc.c. */
typedef struct {
    const char *name;       /* static; NULL: none of them, so it is raw */
    bool names_other_files; /* a backing file, a data file, extents: QEMU would open these, too */
} ImageFormat;

/* bytes: of the image as it lies there. False with PROBE_ERROR_DISK when it cannot be read. */
bool image_format_find(DiskBytes *bytes, ImageFormat *found, GError **error);
