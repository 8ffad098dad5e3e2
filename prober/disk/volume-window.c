/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/volume-window.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK_BYTES (64u * 1024)

struct VolumeWindow {
    DiskBytes *bytes;
    int fd;
    bool blank;
    uint64_t extra_bytes;
};

static bool fail(GError **error, const char *what)
{
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot look at a volume: %s: %s", what,
                g_strerror(errno));
    return false;
}

static bool is_zero(const uint8_t *data, size_t length)
{
    return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

static bool copy_chunk(VolumeWindow *window, uint64_t offset, size_t length, GError **error)
{
    uint8_t chunk[CHUNK_BYTES];

    if (!disk_bytes_read(window->bytes, offset, chunk, length, error))
        return false;
    if (is_zero(chunk, length))
        return true;
    window->blank = false;
    if (pwrite(window->fd, chunk, length, (off_t)offset) != (ssize_t)length)
        return fail(error, "write to a file in memory");
    return true;
}

static bool copy(VolumeWindow *window, uint64_t offset, uint64_t length, GError **error)
{
    uint64_t size = disk_bytes_size(window->bytes);

    for (uint64_t end = offset >= size ? offset : offset + MIN(length, size - offset);
         offset < end;) {
        size_t part = (size_t)MIN(end - offset, CHUNK_BYTES);
        if (!copy_chunk(window, offset, part, error))
            return false;
        offset += part;
    }
    return true;
}

VolumeWindow *volume_window_new(DiskBytes *bytes, GError **error)
{
    uint64_t size = disk_bytes_size(bytes);
    uint64_t tail = size > VOLUME_WINDOW_TAIL_BYTES ? size - VOLUME_WINDOW_TAIL_BYTES : 0;
    g_autoptr(VolumeWindow) window = g_new0(VolumeWindow, 1);

    window->bytes = disk_bytes_ref(bytes);
    window->blank = true;
    window->fd = memfd_create("volume", MFD_CLOEXEC);
    if (window->fd < 0) {
        fail(error, "create a file in memory");
        return NULL;
    }
    if (size > G_MAXINT64 || ftruncate(window->fd, (off_t)size) != 0) {
        fail(error, "a file in memory of the volume's size");
        return NULL;
    }
    if (!copy(window, 0, VOLUME_WINDOW_HEAD_BYTES, error) ||
        !copy(window, MAX(tail, VOLUME_WINDOW_HEAD_BYTES), VOLUME_WINDOW_TAIL_BYTES, error))
        return NULL;
    return g_steal_pointer(&window);
}

void volume_window_free(VolumeWindow *window)
{
    if (window->fd >= 0)
        close(window->fd);
    disk_bytes_unref(window->bytes);
    g_free(window);
}

bool volume_window_copy(VolumeWindow *window, uint64_t offset, uint64_t length, GError **error)
{
    if (length > VOLUME_WINDOW_EXTRA_BYTES - window->extra_bytes) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                    "the partition table is spread over more than %u KiB",
                    VOLUME_WINDOW_EXTRA_BYTES / 1024);
        return false;
    }
    window->extra_bytes += length;
    return copy(window, offset, length, error);
}

bool volume_window_read(const VolumeWindow *window, uint64_t offset, void *buffer, size_t length)
{
    return offset <= G_MAXINT64 &&
           pread(window->fd, buffer, length, (off_t)offset) == (ssize_t)length;
}

uint64_t volume_window_size(const VolumeWindow *window)
{
    return disk_bytes_size(window->bytes);
}

bool volume_window_is_blank(const VolumeWindow *window)
{
    return window->blank;
}

blkid_probe volume_window_probe(const VolumeWindow *window, GError **error)
{
    g_auto(blkid_probe) probe = blkid_new_probe();

    errno = ENOMEM;
    if (!probe || blkid_probe_set_device(probe, window->fd, 0, 0) != 0) {
        fail(error, "set up libblkid");
        return NULL;
    }
    blkid_probe_enable_superblocks(probe, 0);
    blkid_probe_enable_partitions(probe, 0);
    return g_steal_pointer(&probe);
}
