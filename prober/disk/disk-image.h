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
 *     this program however that ends (PR_SET_PDEATHSIG: with the thread that opened it).
 *
 * Which format: as given. Else what has a protocol (nbd://, rbd:) is raw, json: tells itself, and a
 * file's is taken from its magic number, never from its name. The guest of a raw image can write
 * such a number itself, and QEMU would then open whatever other files of the host it names. So
 * without a word from the operator an image is opened by its magic only where it is a regular file
 * that names no other file; a qcow2 with a backing file, and anything but raw on a block device or
 * over a network, is an error that says to give the format. LUKS is not an image format here: read
 * as raw it is recognised as such; as "luks" it needs a key, which qemu-nbd then asks for.
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
