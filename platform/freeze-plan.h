/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/block-stack.h"
#include "platform/mount-table.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * What is to be frozen, in which order, and what is left out and why. Pure: tables in, plan out, no
 * system call (../shared/design.md, "The freeze engine", steps 1 and 2).
 *
 * The mount table should show every namespace whatever the rules say: a filesystem that is left out
 * may be what two others lie on each other by, or the only one that shows where a third can be
 * opened.
 */

/* Rules of the administrator (key file, group [freeze]); each list is NULL-terminated or NULL, and
 * its entries are fnmatch(3) patterns in which '*' matches '/' too. Exclusion wins.
 *
 * A superblock with several mount points is included when any of them matches. It is excluded when
 * the one it is known by (FreezeTarget.mount_point) matches, or another that shows the same part of
 * it: an excluded bind mount of one of its directories does not exclude the whole. */
typedef struct {
    char **include_mount_points; /* when set, only these */
    char **include_types;
    char **include_devices; /* by mount source: "/dev/vdb*" */
    char **exclude_mount_points;
    char **exclude_types;
    char **exclude_devices;
    bool other_namespaces; /* filesystems mounted only in another mount namespace, too */
} FreezeRules;

/*
 * One superblock to freeze. Open mount_point with O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC (a
 * bind mount's root may be a fifo), then compare mount_id with what statx(STATX_MNT_ID) or
 * /proc/self/fdinfo says of the descriptor: an unmount since the table was read would otherwise
 * freeze the filesystem below. st_dev does not do for that: on btrfs it is the subvolume's.
 */
typedef struct {
    dev_t device;
    int mount_id;
    char *mount_point; /* the path to open, within the namespace of namespace_pid */
    char *fs_type;
    char *source;
    pid_t namespace_pid;     /* 0: own namespace */
    guint64 namespace_inode; /* of /proc/PID/ns/mnt; 0 when unknown */
    dev_t block_device;      /* what it lives on, of a btrfs the first member; 0 when unknown */
    bool through_remote; /* the path leads over a network or FUSE filesystem: opening it may hang */
    unsigned wave;       /* 0 is frozen first and thawed last */
    GPtrArray *aliases;  /* of char *: its other mount points in the same namespace */
} FreezeTarget;

/* One superblock, or a requested path, that is left out. */
typedef struct {
    dev_t device;
    char *mount_point;
    char *fs_type;
    char *source;
    char *reason; /* for people: "mounted read-only", "network filesystem", ... */
} FreezeSkip;

typedef struct {
    GPtrArray *targets; /* of FreezeTarget, sorted by wave, then mount order */
    GPtrArray *skips;   /* of FreezeSkip */
    unsigned waves;     /* number of waves */
} FreezePlan;

/*
 * Builds the plan. rules NULL: none, and other namespaces count. requested is NULL for everything,
 * or a NULL-terminated list of mount points (guest-fsfreeze-freeze-list): then only these are
 * targets, and a path that is no mount point becomes a skip with its reason; so does a filesystem
 * that was not asked for but lies on one that was, because its writes stall all the same. stack may
 * be incomplete: a device it does not know lies on nothing.
 *
 * One superblock is one target, however often it is mounted. It is opened where it is not covered
 * by another mount, where no network or FUSE filesystem lies on the way, in the own namespace, and
 * where all of it is mounted, in this order of preference.
 * A filesystem comes in an earlier wave than every filesystem that it lies on. A cycle is an error
 * that names the filesystems in it.
 */
FreezePlan *freeze_plan_build(const MountTable *mounts, const BlockStack *stack,
                              const FreezeRules *rules, const char *const *requested,
                              GError **error);

/* An empty plan, to be filled by hand: what an earlier run left frozen. */
FreezePlan *freeze_plan_new(void);
void freeze_plan_free(FreezePlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezePlan, freeze_plan_free)
