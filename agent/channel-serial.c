/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/channel-serial.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

static int make_raw(int fd)
{
    struct termios line;
    if (tcgetattr(fd, &line) < 0)
        return -1;
    cfmakeraw(&line);
    line.c_cflag |= CLOCAL | CREAD;
    line.c_cc[VMIN] = 1;
    line.c_cc[VTIME] = 0;
    cfsetspeed(&line, B38400);
    tcflush(fd, TCIOFLUSH);
    return tcsetattr(fd, TCSANOW, &line);
}

static const char *remedy(int code)
{
    switch (code) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return "; give the guest a serial port there, name another with --path, or wait for it "
               "with --retry-path";
    case ENOTTY:
        return "; name a serial port with --path";
    default:
        return "";
    }
}

int channel_serial_open(const char *path, GError **error)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && make_raw(fd) == 0)
        return fd;

    int code = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code),
                "cannot open the serial line %s: %s%s", path, g_strerror(code), remedy(code));
    if (fd >= 0)
        close(fd);
    return -1;
}
