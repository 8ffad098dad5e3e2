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
 */

/* Rules of the administrator (key file, group [freeze]); each list is NULL-terminated or NULL, and
 * its entries are fnmatch(3) patterns. */
typedef struct {
    char **include_mount_points; /* when set, only these */
    char **include_types;
    char **include_devices; /* by mount source: "/dev/vdb*" */
    char **exclude_mount_points;
    char **exclude_types;
    char **exclude_devices;
    bool other_namespaces; /* filesystems mounted only in another mount namespace, too */
} FreezeRules;

/* One superblock to freeze. */
typedef struct {
    dev_t device;
    char *mount_point; /* the path to open, within the namespace of namespace_pid */
    char *fs_type;
    char *source;
    pid_t namespace_pid; /* 0: own namespace */
    unsigned wave;       /* 0 is frozen first and thawed last */
    GPtrArray *aliases;  /* of char *: the other mount points of the same superblock */
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
 * Builds the plan. requested is NULL for everything, or a NULL-terminated list of mount points
 * (guest-fsfreeze-freeze-list): then only these are targets, and a path that is no mount point
 * becomes a skip with its reason. stack may be incomplete: a device it does not know lies on
 * nothing.
 * A filesystem comes in an earlier wave than every filesystem that it lies on. A cycle is an error
 * that names the filesystems in it.
 */
FreezePlan *freeze_plan_build(const MountTable *mounts, const BlockStack *stack,
                              const FreezeRules *rules, const char *const *requested,
                              GError **error);

void freeze_plan_free(FreezePlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezePlan, freeze_plan_free)
