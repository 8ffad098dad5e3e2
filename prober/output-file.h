/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * Files for others to read: whoever reads one finds the old text or the new, never a part (written
 * beside it, synchronized, renamed). What is no regular file, such as /dev/stdout, is written to as
 * it is. Errors are PROBE_ERROR_USAGE.
 */

/* Whether a write is going to be refused, as far as can be told, before a guest is frozen for it.
 */
bool output_file_check(const char *path, GError **error);
bool output_file_write(const char *path, const char *text, GError **error);
