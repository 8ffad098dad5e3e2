/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/output-file.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(const char *path, const char *cause, GError **error)
{
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "cannot write %s: %s", path, cause);
    return false;
}

/* A device, a pipe: something that must not be replaced by a file. */
static bool is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

bool output_file_check(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);

    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return fail(path, "it is a directory", error);
    if (access(is_special(path) ? path : directory, W_OK) == 0)
        return true;
    return fail(path, strerror(errno), error);
}

static bool write_in_place(const char *path, const char *text, GError **error)
{
    FILE *stream = fopen(path, "we");

    if (!stream)
        return fail(path, strerror(errno), error);
    bool written = fputs(text, stream) >= 0;
    if (fclose(stream) == 0 && written)
        return true;
    return fail(path, strerror(errno), error);
}

bool output_file_write(const char *path, const char *text, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (is_special(path))
        return write_in_place(path, text, error);

    /* The file that a symbolic link leads to is replaced, not the link. */
    char *target = realpath(path, NULL);
    bool written = g_file_set_contents_full(target ? target : path, text, -1,
                                            G_FILE_SET_CONTENTS_CONSISTENT, 0644, &problem);
    free(target);
    return written || fail(path, problem->message, error);
}
