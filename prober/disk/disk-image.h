/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"

#include <glib.h>

/*
 * Opens what an operator calls an image, for reading only:
 *   - a raw file or a block device: read as it is;
 *   - nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH and the like: through libnbd;
 *   - everything else that QEMU's block layer knows (qcow2, vmdk, vdi, vhdx, rbd:, json:, luks):
 *     through libnbd from a private qemu-nbd child, which ends with the last reference, and with
 *     this program however that ends (PR_SET_PDEATHSIG).
 * A file's format is taken from its magic number, never from its name; a raw image whose guest
 * wrote such a magic into it would have other files of the host opened for it, so image formats
 * with a backing file are opened by qemu-nbd alone, and format, when given, overrides.
 */
typedef struct {
    const char *address;
    const char *format;   /* "raw", "qcow2", ...: NULL: found out */
    const char *snapshot; /* a qcow2 internal snapshot's name or id; NULL: the image itself */
    int64_t timeout_ms;   /* for opening, and for each read over a network */
    int interrupt_fd;     /* reading ends early once it is readable; -1: none */
} DiskImageSource;

/* NULL with PROBE_ERROR_DISK: the message names the address, the cause, and what qemu-nbd said. */
DiskBytes *disk_image_open(const DiskImageSource *source, GError **error);
