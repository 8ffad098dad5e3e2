/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The files that hosts have open in the guest, by the numbers they were told. A number is never
 * given twice: the first is drawn at random at start, so that a host that still holds one from
 * before a restart of agent or guest is told that it is unknown, and reads no other's file.
 */
#define FILE_HANDLES_MAX 512

typedef struct FileHandles FileHandles;

FileHandles *file_handles_new(void);
/* Closes all files. */
void file_handles_free(FileHandles *handles);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FileHandles, file_handles_free)

/*
 * Opens path with a mode of fopen(3) - r, w, a, with + and b - and returns its number, above 0; -1
 * with an error of G_FILE_ERROR. The file is opened for non-blocking work: reading a pipe or a
 * terminal that has nothing to say fails with EAGAIN.
 */
int64_t file_handles_open(FileHandles *handles, const char *path, const char *mode, GError **error);

/* The descriptor, still owned by the table; -1 with an error. */
int file_handles_find(const FileHandles *handles, int64_t number, GError **error);

/* The number is gone, also when close(2) reports that an earlier write was lost. */
bool file_handles_close(FileHandles *handles, int64_t number, GError **error);
