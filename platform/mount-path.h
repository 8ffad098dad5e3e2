/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/mount-table.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Which mount a path leads to, worked out from the table alone: paths are compared as text, nothing
 * is looked up. Pure.
 */

/* Whether path is directory itself or lies somewhere below it. */
bool mount_path_is_below(const char *path, const char *directory);

/* How a mount can be reached by its own mount point, within its namespace. */
typedef struct {
    bool hidden;         /* another mount covers it, or a directory on the way to it */
    bool through_remote; /* the way to it leads over a network or FUSE filesystem */
} MountReach;

/* Of every mount in the table: const Mount * -> MountReach; free with g_hash_table_unref(). */
GHashTable *mount_path_reach(const MountTable *table);

/* The mounts that path lies on, one for each namespace in the table: the longest mount point wins,
 * the last mounted among equals. except (may be NULL) says which mounts not to consider. Returns an
 * array of const Mount * that borrows from the table. */
typedef bool (*MountPathExcept)(const Mount *mount, gconstpointer user_data);
GPtrArray *mount_path_find_all(const MountTable *table, const char *path, MountPathExcept except,
                               gconstpointer user_data);

/* The one of the given namespace, or NULL. */
const Mount *mount_path_find(const MountTable *table, pid_t namespace_pid, const char *path);
