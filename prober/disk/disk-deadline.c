/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/disk-deadline.h"
#include "prober/probe-error.h"

#include <inttypes.h>

struct DiskDeadline {
    int64_t end_us; /* of the monotonic clock; 0: no limit */
    int64_t limit_ms;
    bool missed;
};

typedef struct {
    DiskDeadline *deadline;
    DiskBytes *bytes;
} Wrapped;

DiskDeadline *disk_deadline_new(void)
{
    return g_rc_box_new0(DiskDeadline);
}

void disk_deadline_unref(DiskDeadline *deadline)
{
    g_rc_box_release(deadline);
}

void disk_deadline_start(DiskDeadline *deadline, int64_t limit_ms)
{
    deadline->end_us = g_get_monotonic_time() + limit_ms * 1000;
    deadline->limit_ms = limit_ms;
    deadline->missed = false;
}

bool disk_deadline_was_missed(const DiskDeadline *deadline)
{
    return deadline->missed;
}

static bool read_in_time(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    Wrapped *wrapped = data;
    DiskDeadline *deadline = wrapped->deadline;

    if (deadline->end_us == 0 || g_get_monotonic_time() < deadline->end_us)
        return disk_bytes_read(wrapped->bytes, offset, buffer, length, error);
    deadline->missed = true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                "reading the disks took longer than %" PRId64 " ms", deadline->limit_ms);
    return false;
}

static void wrapped_free(void *data)
{
    Wrapped *wrapped = data;

    disk_deadline_unref(wrapped->deadline);
    disk_bytes_unref(wrapped->bytes);
    g_free(wrapped);
}

DiskBytes *disk_deadline_wrap(DiskDeadline *deadline, DiskBytes *bytes)
{
    Wrapped *wrapped = g_new0(Wrapped, 1);

    wrapped->deadline = g_rc_box_acquire(deadline);
    wrapped->bytes = disk_bytes_ref(bytes);
    return disk_bytes_new(disk_bytes_size(bytes), read_in_time, wrapped, wrapped_free);
}
