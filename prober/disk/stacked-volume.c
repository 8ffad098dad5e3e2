/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/stacked-volume.h"

StackedVolume *stacked_volume_new(char *name, const char *disk, const char *type, DiskBytes *bytes,
                                  char *note)
{
    StackedVolume *volume = g_new0(StackedVolume, 1);

    volume->name = name;
    volume->disk = g_strdup(disk);
    volume->type = type;
    volume->bytes = bytes ? disk_bytes_ref(bytes) : NULL;
    volume->note = note;
    return volume;
}

void stacked_volume_free(StackedVolume *volume)
{
    g_free(volume->name);
    g_free(volume->disk);
    g_clear_pointer(&volume->bytes, disk_bytes_unref);
    g_free(volume->note);
    g_free(volume);
}
