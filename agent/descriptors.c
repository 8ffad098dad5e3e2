/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/descriptors.h"

#include <limits.h>
#include <stddef.h>
#include <sys/param.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Distributions whose kernel lacks it have no glibc that knows it, either. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static void close_range_of(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0u) == 0)
        return;
    long limit = sysconf(_SC_OPEN_MAX);
    unsigned end = MIN(last, limit > 0 ? (unsigned)limit : 1024);
    for (unsigned fd = first; fd <= end; fd++)
        close((int)fd);
}

void descriptors_close_others(int first_kept, int second_kept)
{
    int low = MAX(MIN(first_kept, second_kept), STDERR_FILENO);
    int high = MAX(MAX(first_kept, second_kept), low);

    close_range_of(STDERR_FILENO + 1, (unsigned)low - 1);
    close_range_of((unsigned)low + 1, (unsigned)high - 1);
    close_range_of((unsigned)high + 1, UINT_MAX);
}
