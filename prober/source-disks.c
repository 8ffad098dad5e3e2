/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/source-disks.h"
#include "prober/disk/disk-image.h"
#include "prober/probe-error.h"
#include "prober/target.h"

static DiskBytes *open_source(const TargetDiskSource *from, int64_t until_us, int interrupt_fd,
                              GError **error)
{
    const DiskImageSource source = {
        .address = from->address,
        .format = from->format,
        .timeout_ms = (until_us - g_get_monotonic_time()) / 1000,
        .interrupt_fd = interrupt_fd,
    };

    if (from->problem || !from->address)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "%s",
                    from->problem ? from->problem : "libvirt does not tell where it is");
    else if (source.timeout_ms <= 0)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "opening the disks took too long");
    else
        return disk_image_open(&source, error);
    return NULL;
}

GPtrArray *source_disks_open(const GPtrArray *sources, int64_t limit_ms, int interrupt_fd,
                             GPtrArray *problems)
{
    GPtrArray *disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    int64_t until_us = g_get_monotonic_time() + limit_ms * 1000;

    for (unsigned i = 0; i < sources->len; i++) {
        const TargetDiskSource *source = g_ptr_array_index(sources, i);
        g_autoptr(GError) problem = NULL;
        g_autoptr(DiskBytes) bytes = open_source(source, until_us, interrupt_fd, &problem);
        if (bytes)
            g_ptr_array_add(disks, named_disk_new(source->name, bytes));
        else
            g_ptr_array_add(problems, g_strdup_printf("%s: %s", source->name, problem->message));
    }
    return disks;
}

static bool is_same(const TargetDiskSource *source, const TargetDiskSource *other)
{
    return g_strcmp0(source->name, other->name) == 0 &&
           g_strcmp0(source->address, other->address) == 0 &&
           g_strcmp0(source->format, other->format) == 0;
}

bool source_disks_are_same(const GPtrArray *sources, const GPtrArray *others)
{
    if (sources->len != others->len)
        return false;
    for (unsigned i = 0; i < sources->len; i++) {
        if (!is_same(g_ptr_array_index(sources, i), g_ptr_array_index(others, i)))
            return false;
    }
    return true;
}
