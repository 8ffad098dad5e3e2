/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/*
 * The filesystems a guest lists in guest-get-fsinfo: what a freeze of everything should cover, and
 * where a writer can be put.
 */
typedef struct {
    char *mount_point;
    char *fs_type;
    char *name;       /* the block device's name; the same for all mounts of one superblock */
    bool freezable;   /* its type can be frozen */
    GPtrArray *disks; /* of char *: one key per disk below it, equal for equal disks */
} GuestFilesystem;

typedef struct {
    GPtrArray *filesystems; /* of GuestFilesystem, one per superblock, in the guest's order */
} GuestFilesystems;

#define GUEST_FILESYSTEMS_MAX 1024
#define GUEST_FILESYSTEMS_MAX_DISKS 256

/* Reads the value of guest-get-fsinfo's "return"; what is no list gives no filesystems. */
GuestFilesystems *guest_filesystems_new(json_object *reply);
void guest_filesystems_free(GuestFilesystems *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestFilesystems, guest_filesystems_free)

/* Whether Linux can freeze filesystems of this type: those whose super_operations have freeze_fs
 * or freeze_super (fs/super.c, ioctl_fsfreeze). */
bool guest_filesystem_type_is_freezable(const char *fs_type);

/* Borrowed; NULL when none is mounted exactly there. */
const GuestFilesystem *guest_filesystems_find(const GuestFilesystems *guest,
                                              const char *mount_point);

unsigned guest_filesystems_count_freezable(const GuestFilesystems *guest);
