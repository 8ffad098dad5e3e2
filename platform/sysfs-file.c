/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/sysfs-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void set_error(GError **error, int cause, const char *verb, const char *path)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause), "cannot %s %s: %s", verb, path,
                g_strerror(cause));
}

char *sysfs_file_read(const char *directory, const char *name, GError **error)
{
    char value[4097]; /* an attribute fills at most a page: linux/Documentation/filesystems/sysfs */
    g_autofree char *path = g_build_filename(directory, name, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, value, sizeof value - 1);
    int cause = errno;

    if (fd >= 0)
        close(fd);
    if (length < 0) {
        set_error(error, cause, "read", path);
        return NULL;
    }
    value[length] = '\0';
    return g_strdup(g_strchomp(value));
}

bool sysfs_file_read_number(const char *directory, const char *name, unsigned base, uint64_t *value,
                            GError **error)
{
    g_autofree char *text = sysfs_file_read(directory, name, error);

    if (!text)
        return false;
    if (g_ascii_string_to_unsigned(text, base, 0, G_MAXUINT64, value, NULL))
        return true;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s/%s holds '%s', which is no number",
                directory, name, text);
    return false;
}

bool sysfs_file_write(const char *directory, const char *name, const char *value, GError **error)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    size_t length = strlen(value);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, value, length) == (ssize_t)length;
    int cause = errno;

    if (fd >= 0)
        close(fd);
    if (!written)
        set_error(error, cause, "write", path);
    return written;
}

static int compare_numbers(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

GArray *sysfs_list_numbered(const char *directory, const char *prefix, GError **error)
{
    g_autoptr(GDir) entries = g_dir_open(directory, 0, error);
    const char *name;

    if (!entries)
        return NULL;
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(int64_t));
    while ((name = g_dir_read_name(entries))) {
        uint64_t number;
        if (!g_str_has_prefix(name, prefix) ||
            !g_ascii_string_to_unsigned(name + strlen(prefix), 10, 0, G_MAXINT64, &number, NULL))
            continue;
        int64_t listed = (int64_t)number;
        g_array_append_val(numbers, listed);
    }
    g_array_sort(numbers, compare_numbers);
    return numbers;
}
