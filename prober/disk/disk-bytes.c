/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/disk-bytes.h"
#include "prober/probe-error.h"

#include <string.h>

/* What bytes come from in the end; never a part of something else. */
typedef struct {
    gatomicrefcount refs;
    DiskBytesRead read;
    void *data;
    GDestroyNotify free_data;
    uint64_t count_read;
} Disk;

/* Part of a DiskBytes: where it begins in it, and what lies there. */
typedef struct {
    uint64_t start;
    DiskBytes *bytes;
} Run;

struct DiskBytes {
    gatomicrefcount refs;
    uint64_t size;
    GPtrArray *disks; /* of Disk, each once: all that can be reached from here */

    /* One of these three holds. */
    Disk *disk;       /* borrowed from disks */
    DiskBytes *whole; /* never a slice itself: reading must not go down a chain of slices */
    GArray *runs;     /* of Run, in order, none empty */

    uint64_t offset; /* with whole */
};

static void disk_unref(Disk *disk)
{
    if (!g_atomic_ref_count_dec(&disk->refs))
        return;
    if (disk->free_data)
        disk->free_data(disk->data);
    g_free(disk);
}

static void run_clear(Run *run)
{
    disk_bytes_unref(run->bytes);
}

static DiskBytes *new_bytes(uint64_t size, GPtrArray *disks)
{
    DiskBytes *bytes = g_new0(DiskBytes, 1);

    g_atomic_ref_count_init(&bytes->refs);
    bytes->size = size;
    bytes->disks = disks;
    return bytes;
}

DiskBytes *disk_bytes_new(uint64_t size, DiskBytesRead read, void *data, GDestroyNotify free_data)
{
    DiskBytes *bytes = new_bytes(size, g_ptr_array_new_with_free_func((GDestroyNotify)disk_unref));
    Disk *disk = g_new0(Disk, 1);

    g_atomic_ref_count_init(&disk->refs);
    disk->read = read;
    disk->data = data;
    disk->free_data = free_data;
    g_ptr_array_add(bytes->disks, disk);
    bytes->disk = disk;
    return bytes;
}

static bool read_memory(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    memcpy(buffer, (const char *)data + offset, length);
    return true;
}

DiskBytes *disk_bytes_new_memory(const void *memory, size_t size)
{
    return disk_bytes_new(size, read_memory, (void *)memory, NULL);
}

DiskBytes *disk_bytes_ref(DiskBytes *bytes)
{
    g_atomic_ref_count_inc(&bytes->refs);
    return bytes;
}

void disk_bytes_unref(DiskBytes *bytes)
{
    if (!g_atomic_ref_count_dec(&bytes->refs))
        return;
    g_clear_pointer(&bytes->whole, disk_bytes_unref);
    g_clear_pointer(&bytes->runs, g_array_unref);
    g_ptr_array_unref(bytes->disks);
    g_free(bytes);
}

DiskBytes *disk_bytes_slice(DiskBytes *whole, uint64_t offset, uint64_t size)
{
    offset = MIN(offset, whole->size);
    DiskBytes *slice = new_bytes(MIN(size, whole->size - offset), g_ptr_array_ref(whole->disks));
    slice->offset = offset;
    if (whole->whole) {
        slice->offset += whole->offset;
        whole = whole->whole;
    }
    slice->whole = disk_bytes_ref(whole);
    return slice;
}

static void add_disks(GPtrArray *disks, const GPtrArray *more)
{
    for (unsigned i = 0; i < more->len; i++) {
        Disk *disk = more->pdata[i];
        if (g_ptr_array_find(disks, disk, NULL))
            continue;
        g_atomic_ref_count_inc(&disk->refs);
        g_ptr_array_add(disks, disk);
    }
}

DiskBytes *disk_bytes_concat(const GPtrArray *parts)
{
    DiskBytes *bytes = new_bytes(0, g_ptr_array_new_with_free_func((GDestroyNotify)disk_unref));

    bytes->runs = g_array_new(FALSE, FALSE, sizeof(Run));
    g_array_set_clear_func(bytes->runs, (GDestroyNotify)run_clear);
    for (unsigned i = 0; i < parts->len; i++) {
        DiskBytes *part = parts->pdata[i];
        uint64_t size = MIN(part->size, UINT64_MAX - bytes->size);
        add_disks(bytes->disks, part->disks);
        if (size == 0)
            continue;
        Run run = {.start = bytes->size, .bytes = disk_bytes_ref(part)};
        g_array_append_val(bytes->runs, run);
        bytes->size += size;
    }
    return bytes;
}

uint64_t disk_bytes_size(const DiskBytes *bytes)
{
    return bytes->size;
}

uint64_t disk_bytes_count_read(const DiskBytes *bytes)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < bytes->disks->len; i++)
        count += ((const Disk *)bytes->disks->pdata[i])->count_read;
    return count;
}

static bool read_disk(Disk *disk, uint64_t offset, void *buffer, size_t length, GError **error)
{
    if (length > DISK_BYTES_BUDGET - disk->count_read) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                    "cannot read %zu bytes at %" G_GUINT64_FORMAT ": %u MiB of this disk were read "
                    "already, the most that is read of one; its metadata may be damaged",
                    length, offset, (unsigned)(disk->count_read >> 20));
        return false;
    }
    disk->count_read += length;
    return disk->read(disk->data, offset, buffer, length, error);
}

/* The run that holds offset, which is less than the size. */
static unsigned find_run(const GArray *runs, uint64_t offset)
{
    unsigned low = 0;
    unsigned high = runs->len - 1;

    while (low < high) {
        unsigned middle = high - (high - low) / 2;
        if (g_array_index(runs, Run, middle).start <= offset)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static bool read_runs(DiskBytes *bytes, uint64_t offset, char *buffer, size_t length,
                      GError **error)
{
    for (unsigned i = length > 0 ? find_run(bytes->runs, offset) : 0; length > 0; i++) {
        const Run *run = &g_array_index(bytes->runs, Run, i);
        uint64_t within = offset - run->start;
        size_t step = (size_t)MIN(length, run->bytes->size - within);
        if (!disk_bytes_read(run->bytes, within, buffer, step, error))
            return false;
        offset += step;
        buffer += step;
        length -= step;
    }
    return true;
}

bool disk_bytes_read(DiskBytes *bytes, uint64_t offset, void *buffer, size_t length, GError **error)
{
    if (length > bytes->size || offset > bytes->size - length) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                    "cannot read %zu bytes at %" G_GUINT64_FORMAT ": it ends at %" G_GUINT64_FORMAT,
                    length, offset, bytes->size);
        return false;
    }
    if (length == 0)
        return true;
    if (bytes->disk)
        return read_disk(bytes->disk, offset, buffer, length, error);
    if (bytes->whole)
        return disk_bytes_read(bytes->whole, bytes->offset + offset, buffer, length, error);
    return read_runs(bytes, offset, buffer, length, error);
}
