/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/named-disk.h"

NamedDisk *named_disk_new(const char *name, DiskBytes *bytes)
{
    NamedDisk *disk = g_new0(NamedDisk, 1);

    disk->name = g_strdup(name);
    disk->bytes = disk_bytes_ref(bytes);
    return disk;
}

void named_disk_free(NamedDisk *disk)
{
    g_free(disk->name);
    disk_bytes_unref(disk->bytes);
    g_free(disk);
}
