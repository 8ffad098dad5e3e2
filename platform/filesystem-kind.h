/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * What a filesystem type means for freezing and for looking at it, told from its name alone. Types
 * nobody has heard of are local.
 */
typedef enum {
    FILESYSTEM_LOCAL,   /* may hold data on a block device of this machine */
    FILESYSTEM_PSEUDO,  /* kernel interfaces and memory: proc, sysfs, tmpfs, autofs, ... */
    FILESYSTEM_NETWORK, /* kernel clients of a server or of the host: nfs, cifs, 9p, virtiofs, ...
                         */
    FILESYSTEM_FUSE,    /* answered by a process: fuse, fuse.sshfs, fuseblk */
    FILESYSTEM_IMAGE,   /* never writable: squashfs, erofs, iso9660, ... */
    FILESYSTEM_STACKED, /* stores its files in other mounted filesystems: overlay, ecryptfs, ... */
} FilesystemKind;

FilesystemKind filesystem_kind(const char *fs_type);

/* Why a filesystem of this kind is not frozen, for people; NULL for FILESYSTEM_LOCAL. */
const char *filesystem_kind_reason(FilesystemKind kind);

/* Whether a look-up on it waits for somebody else (a server, a process) who may never answer. */
bool filesystem_kind_can_hang(FilesystemKind kind);
