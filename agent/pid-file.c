/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/pid-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct PidFile {
    char *path;
    int fd;
};

void pid_file_free(PidFile *file)
{
    if (file == NULL)
        return;
    /* First the name, then the lock: the other way round a successor could lock a file that is
     * about to vanish. */
    if (file->fd >= 0) {
        unlink(file->path);
        close(file->fd);
    }
    g_free(file->path);
    g_free(file);
}

static void set_error(GError **error, const char *path, int cause)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                "cannot write the pid file %s: %s", path, g_strerror(cause));
}

static void set_busy_error(GError **error, const char *path, int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    g_autofree char *owner = NULL;
    if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
        owner = g_strdup_printf("process %d", (int)lock.l_pid);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_EXIST,
                "another guest agent is running: %s has locked the pid file %s",
                owner != NULL ? owner : "another process", path);
}

/* An earlier daemon may have removed the file between our open and our lock. */
static bool is_still_there(int fd, const char *path)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_dev == there.st_dev &&
           ours.st_ino == there.st_ino;
}

static int open_locked(const char *path, GError **error)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0) {
            set_error(error, path, errno);
            return -1;
        }
        bool locked = lockf(fd, F_TLOCK, 0) == 0;
        if (locked && is_still_there(fd, path))
            return fd;
        if (!locked)
            set_busy_error(error, path, fd);
        close(fd);
        if (!locked)
            return -1;
    }
}

PidFile *pid_file_new(const char *path, GError **error)
{
    int fd = open_locked(path, error);
    if (fd < 0)
        return NULL;
    g_autoptr(PidFile) file = g_new0(PidFile, 1);
    file->path = g_strdup(path);
    file->fd = fd;
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        set_error(error, path, errno);
        return NULL;
    }
    return g_steal_pointer(&file);
}
