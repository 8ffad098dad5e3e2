/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/rcu.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int rcu_switch_open(void)
{
    return open("/sys/kernel/rcu_expedited", O_RDWR | O_CLOEXEC);
}

static int write_digit(int fd, int value)
{
    char digit = (char)('0' + value);

    return pwrite(fd, &digit, 1, 0) == 1 ? 0 : errno;
}

int rcu_switch_expedite(int fd, _Atomic int *previous)
{
    char digit;

    *previous = -1;
    errno = 0;
    if (pread(fd, &digit, 1, 0) != 1)
        return errno ? errno : EIO;
    if (digit != '0')
        return 0;
    *previous = 0;
    int error_number = write_digit(fd, 1);
    if (error_number != 0)
        *previous = -1;
    return error_number;
}

int rcu_switch_restore(int fd, int previous)
{
    return previous < 0 ? 0 : write_digit(fd, previous);
}

void rcu_switch_put_back(int previous)
{
    int fd = previous < 0 ? -1 : rcu_switch_open();

    if (fd < 0)
        return;
    rcu_switch_restore(fd, previous);
    close(fd);
}
