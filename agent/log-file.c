/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK is for those who name a FIFO. */
#define OPEN_FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

typedef struct {
    LogOutput base;
    char *path;
    char *rotated_path;
    uint64_t max_bytes;
} File;

static bool link_is_trusted(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode) &&
           (status.st_uid == 0 || status.st_uid == geteuid());
}

/* Returns 0 or an errno. */
static int open_file(File *file)
{
    int fd = open(file->path, OPEN_FLAGS | O_NOFOLLOW, 0640);
    if (fd < 0 && errno == ELOOP && link_is_trusted(file->path))
        fd = open(file->path, OPEN_FLAGS, 0640);
    if (fd < 0)
        return errno;
    if (file->base.fd >= 0)
        close(file->base.fd);
    file->base.fd = fd;
    g_string_truncate(file->base.rest, 0);
    return 0;
}

static int rotate(File *file)
{
    if (rename(file->path, file->rotated_path) == 0)
        return open_file(file);
    /* Where the directory takes no other name, the bound counts more than the old lines. */
    return ftruncate(file->base.fd, 0) == 0 ? 0 : errno;
}

/* Opens the file if need be: also anew when it was removed under us, and when it is full. */
static int prepare(File *file, size_t length)
{
    struct stat status;
    if (file->base.fd < 0)
        return open_file(file);
    if (fstat(file->base.fd, &status) < 0)
        return errno;
    if (status.st_nlink == 0)
        return open_file(file);
    bool is_full = S_ISREG(status.st_mode) && file->max_bytes > 0 && status.st_size > 0 &&
                   (uint64_t)status.st_size + length > file->max_bytes;
    return is_full && file->base.rest->len == 0 ? rotate(file) : 0;
}

static ssize_t put(LogOutput *output, const void *bytes, size_t length)
{
    return write(output->fd, bytes, length);
}

static int file_write(LogOutput *output, const LogLine *line)
{
    size_t length = line != NULL ? line->length : 0;
    int cause = prepare((File *)output, length);
    return cause != 0 ? cause : log_output_put(output, put, line ? line->text : "", length);
}

static void file_reopen(LogOutput *output)
{
    log_output_put(output, put, "", 0);
    /* A file that cannot be opened now is tried again with the next line. */
    if (open_file((File *)output) != 0 && output->fd >= 0) {
        close(output->fd);
        output->fd = -1;
    }
}

static void file_free(LogOutput *output)
{
    File *file = (File *)output;
    g_free(file->path);
    g_free(file->rotated_path);
    log_output_free(output);
}

LogOutput *log_file_new(const char *path, uint64_t max_bytes, GError **error)
{
    File *file = g_new0(File, 1);
    log_output_init(&file->base, g_strdup_printf("the log file %s", path));
    file->base.write = file_write;
    file->base.reopen = file_reopen;
    file->base.free = file_free;
    file->path = g_strdup(path);
    file->rotated_path = g_strconcat(path, ".1", NULL);
    file->max_bytes = max_bytes;

    int cause = open_file(file);
    if (cause == 0)
        return &file->base;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                "cannot open the log file %s: %s", path,
                cause == ELOOP ? "a symbolic link that belongs neither to root nor to this user"
                               : g_strerror(cause));
    file_free(&file->base);
    return NULL;
}
