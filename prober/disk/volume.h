/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/named-disk.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What lies on a set of disks: partitions (MBR with logical ones, GPT; libblkid), linear LVM
 * logical volumes over any of the disks, md arrays of which one member tells everything (RAID 1,
 * or one device), LUKS as opaque; stacked in each other. Types and UUIDs are libblkid's.
 * Kilobytes are read of each volume (prober/disk/volume-window.h, lvm-text.h for the limits).
 */
typedef enum {
    VOLUME_FILESYSTEM, /* type and bytes hold, uuid where the type has one */
    VOLUME_OPAQUE,     /* may hold filesystems, cannot be looked into: note says why (LUKS, striped
                          LVM, a disk that cannot be read) */
    VOLUME_UNKNOWN,    /* nothing recognised, or blank; note says which */
    VOLUME_NO_DATA,    /* swap and the like: recognised, holds no filesystem */
} VolumeKind;

typedef struct {
    VolumeKind kind;
    char *name;       /* "vda", "vda2", "vg0/root", "md0": unique among those found */
    char *disk;       /* NamedDisk.name it was first found on */
    char *fs_type;    /* libblkid's TYPE: "ext4", "xfs", "btrfs", "crypto_LUKS"; NULL */
    char *uuid;       /* as libblkid prints it; NULL */
    char *uuid_sub;   /* btrfs: this device's own; NULL */
    char *label;      /* NULL */
    char *note;       /* for people; NULL when there is nothing to say */
    DiskBytes *bytes; /* of filesystems and unknown volumes; else NULL */
} Volume;

/* disks: of NamedDisk. Returns Volumes in the order found, owned by the caller; never NULL: a disk
 * that cannot be read gives a VOLUME_OPAQUE whose note says why. At most VOLUMES_MAX; the last of
 * them tells then that there are more. What is divided further (a disk with partitions, a physical
 * volume, a member of an array) is no volume itself. */
#define VOLUMES_MAX 1024
/* How deep volumes are looked for in volumes. */
#define VOLUMES_MAX_DEPTH 8
GPtrArray *volumes_find(const GPtrArray *disks);
void volume_free(Volume *volume);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Volume, volume_free)
