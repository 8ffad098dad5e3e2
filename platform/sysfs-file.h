/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The small files of sysfs: one value each. Errors are G_FILE_ERROR and name the file.
 */

/* The value without its newline; owned by the caller. NULL with an error. */
char *sysfs_file_read(const char *directory, const char *name, GError **error);
/* base as of strtoull(3). */
bool sysfs_file_read_number(const char *directory, const char *name, unsigned base, uint64_t *value,
                            GError **error);
/* One write(2), whose error is the kernel's answer. */
bool sysfs_file_write(const char *directory, const char *name, const char *value, GError **error);

/* The numbers N of the entries prefixN in a directory, in ascending order: a GArray of int64_t;
 * owned by the caller. NULL with an error. */
GArray *sysfs_list_numbered(const char *directory, const char *prefix, GError **error);
