/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/volume-window.h"

#include <glib.h>

/* What libblkid finds a volume to be, by the magic numbers of superblocks. */
typedef enum {
    VOLUME_USAGE_NONE, /* nothing recognised */
    VOLUME_USAGE_FILESYSTEM,
    VOLUME_USAGE_RAID, /* a part of something larger: md, LVM, bcache */
    VOLUME_USAGE_CRYPTO,
    VOLUME_USAGE_OTHER,     /* swap, a journal */
    VOLUME_USAGE_AMBIGUOUS, /* several that exclude each other */
} VolumeUsage;

typedef struct {
    VolumeUsage usage;
    char *type; /* libblkid's names; NULL, like the rest, when there is none */
    char *uuid;
    char *uuid_sub;
    char *label;
    uint64_t magic_offset; /* where the magic number was found, in bytes */
} VolumeIdentity;

/* NULL with PROBE_ERROR_DISK. */
VolumeIdentity *volume_identity_read(const VolumeWindow *window, GError **error);
void volume_identity_free(VolumeIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VolumeIdentity, volume_identity_free)
