/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/freeze-ioctl.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

int freeze_ioctl_freeze(int fd)
{
    return ioctl(fd, FIFREEZE, 0) == 0 ? 0 : errno;
}

int freeze_ioctl_thaw(int fd)
{
    return ioctl(fd, FITHAW, 0) == 0 ? 0 : errno;
}
