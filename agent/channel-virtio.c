/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/channel-virtio.h"

#include <errno.h>
#include <fcntl.h>

static const char *remedy(int code)
{
    switch (code) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return "; give the guest a virtio-serial port of that name, or wait for it with "
               "--retry-path";
    case EBUSY:
        return "; another guest agent has it open";
    default:
        return "";
    }
}

int channel_virtio_open(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        int code = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code),
                    "cannot open the virtio-serial port %s: %s%s", path, g_strerror(code),
                    remedy(code));
    }
    return fd;
}
