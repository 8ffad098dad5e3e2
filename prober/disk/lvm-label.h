/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/lvm-text.h"

#include <glib.h>

/*
 * What an LVM2 physical volume says about itself: its UUID, and the metadata of its volume group if
 * it keeps a copy. Source: lvm2, lib/label/label.h (the label, in one of the first four sectors),
 * lib/format_text/layout.h (pv_header, mda_header, raw_locn), lib/misc/crc.c (checksums).
 */
typedef struct {
    char *uuid;        /* 32 characters, without hyphens */
    LvmNode *metadata; /* NULL: no copy here, or none that can be read: problem tells */
    char *problem;     /* NULL: a volume that belongs to no group, or keeps no copy */
} LvmLabel;

/* NULL with PROBE_ERROR_DISK when there is no label that can be read. */
LvmLabel *lvm_label_read(DiskBytes *bytes, GError **error);
void lvm_label_free(LvmLabel *label);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LvmLabel, lvm_label_free)

/* The checksum over label, metadata header and text. */
uint32_t lvm_label_checksum(const void *data, size_t length);
