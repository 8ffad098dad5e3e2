/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Mounts as the kernel shows them in /proc/PID/mountinfo, read with libmount. Nothing is looked up
 * on the mounted filesystems themselves, so a hung network mount cannot hang the reader.
 */
typedef struct {
    int mount_id;
    int parent_id;
    dev_t device;        /* st_dev of the superblock: anonymous for btrfs, overlay, tmpfs, ... */
    char *root;          /* the part of the filesystem that is mounted, "/" for all of it */
    char *mount_point;   /* as seen from the process in namespace_pid */
    char *fs_type;       /* "ext4", "fuse.sshfs", ... */
    char *source;        /* "/dev/vda1", "tmpfs", "server:/export", ... */
    char *mount_options; /* per mount: "rw,nosuid" */
    char *superblock_options; /* per superblock: "rw,data=ordered" */
    bool superblock_read_only;
    pid_t namespace_pid; /* 0: the caller's own mount namespace; else a process that lives in it */
    guint64 namespace_inode; /* of /proc/PID/ns/mnt; 0 when the mount came from a fixture */
} Mount;

typedef struct {
    GPtrArray *mounts; /* of Mount, in mount order, own namespace first */
} MountTable;

MountTable *mount_table_new(void);
void mount_table_free(MountTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountTable, mount_table_free)

/* Adds the mounts of one mountinfo file; also used by the tests' fixtures. */
bool mount_table_add_file(MountTable *table, const char *mountinfo_path, pid_t namespace_pid,
                          GError **error);

/* The caller's own mounts and, with other_namespaces, those of every other mount namespace that a
 * process under /proc lives in (each namespace once). A namespace that vanishes while it is read is
 * left out. */
MountTable *mount_table_read(bool other_namespaces, GError **error);

/* A process that lives in the mount namespace with this inode number (Mount.namespace_inode), by
 * preference the given one, which may have ended and its number may be another's by now; 0 when
 * there is none left. */
pid_t mount_table_find_process(guint64 namespace_inode, pid_t preferred);
