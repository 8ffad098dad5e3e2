/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/file-handles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Numbers survive the way through a double, as some hosts' JSON has nothing else. */
#define FIRST_NUMBER_BITS 40

#define NEW_FILE_MODE (S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)

struct FileHandles {
    GHashTable *descriptors; /* int64_t * to GINT_TO_POINTER(fd) */
    int64_t next;
};

FileHandles *file_handles_new(void)
{
    FileHandles *handles = g_new0(FileHandles, 1);
    uint64_t random = (uint64_t)g_random_int() << 32 | g_random_int();

    handles->descriptors = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    handles->next = (int64_t)(random >> (64 - FIRST_NUMBER_BITS)) + 1;
    return handles;
}

void file_handles_free(FileHandles *handles)
{
    GHashTableIter iter;
    void *fd;

    if (!handles)
        return;
    g_hash_table_iter_init(&iter, handles->descriptors);
    while (g_hash_table_iter_next(&iter, NULL, &fd))
        close(GPOINTER_TO_INT(fd));
    g_hash_table_unref(handles->descriptors);
    g_free(handles);
}

/* fopen(3): 'b' has no meaning. -1 when it is no mode. */
static int flags_of_mode(const char *mode)
{
    static const struct {
        const char *letters;
        int flags;
    } modes[] = {
        {"r", O_RDONLY}, {"w", O_WRONLY | O_CREAT | O_TRUNC}, {"a", O_WRONLY | O_CREAT | O_APPEND},
        {"r+", O_RDWR},  {"w+", O_RDWR | O_CREAT | O_TRUNC},  {"a+", O_RDWR | O_CREAT | O_APPEND},
    };
    char letters[4] = "";
    unsigned length = 0;
    bool binary = false;

    for (const char *letter = mode; *letter; letter++) {
        if (*letter == 'b' && !binary && letter != mode)
            binary = true;
        else if (length < sizeof letters - 1)
            letters[length++] = *letter;
        else
            return -1;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++)
        if (strcmp(letters, modes[i].letters) == 0)
            return modes[i].flags;
    return -1;
}

static bool check_room(const FileHandles *handles, GError **error)
{
    if (g_hash_table_size(handles->descriptors) < FILE_HANDLES_MAX)
        return true;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NFILE,
                "%d files are open already: close some with guest-file-close", FILE_HANDLES_MAX);
    return false;
}

int64_t file_handles_open(FileHandles *handles, const char *path, const char *mode, GError **error)
{
    int flags = flags_of_mode(mode);

    if (flags < 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "invalid file open mode '%s'", mode);
        return -1;
    }
    if (!check_room(handles, error))
        return -1;
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, NEW_FILE_MODE);
    if (fd < 0) {
        int cause = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "failed to open file '%s' (mode: '%s'): %s", path, mode, g_strerror(cause));
        return -1;
    }
    int64_t number = handles->next++;
    g_hash_table_insert(handles->descriptors, g_memdup2(&number, sizeof number),
                        GINT_TO_POINTER(fd));
    return number;
}

int file_handles_find(const FileHandles *handles, int64_t number, GError **error)
{
    void *fd;

    if (g_hash_table_lookup_extended(handles->descriptors, &number, NULL, &fd))
        return GPOINTER_TO_INT(fd);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_BADF,
                "handle '%" G_GINT64_FORMAT "' has not been found", number);
    return -1;
}

bool file_handles_close(FileHandles *handles, int64_t number, GError **error)
{
    int fd = file_handles_find(handles, number, error);

    if (fd < 0)
        return false;
    g_hash_table_remove(handles->descriptors, &number);
    if (close(fd) == 0 || errno == EINTR)
        return true;
    int cause = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                "the file is closed, but something written to it was lost: %s", g_strerror(cause));
    return false;
}
