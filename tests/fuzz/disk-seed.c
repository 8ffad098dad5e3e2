/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/filesystem-state.h"
#include "sparse-disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * disk-seed IMAGE >SEED - the sectors that are read of an image, as a seed for fuzz-volumes.
 */
static int image;
static GTree *sectors;

static gint compare(gconstpointer a, gconstpointer b)
{
    return GPOINTER_TO_UINT(a) < GPOINTER_TO_UINT(b) ? -1
                                                     : GPOINTER_TO_UINT(a) > GPOINTER_TO_UINT(b);
}

static bool read_image(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    for (uint64_t at = offset / SPARSE_DISK_SECTOR_BYTES;
         at <= (offset + length - 1) / SPARSE_DISK_SECTOR_BYTES; at++)
        g_tree_insert(sectors, GUINT_TO_POINTER((unsigned)at), NULL);
    if (pread(image, buffer, length, (off_t)offset) != (ssize_t)length)
        g_error("cannot read the image");
    return true;
}

static gboolean write_sector(gpointer key, gpointer value, gpointer data)
{
    static const uint8_t zeros[SPARSE_DISK_SECTOR_BYTES];
    uint8_t sector[SPARSE_DISK_SECTOR_BYTES] = {0};
    uint32_t number = GPOINTER_TO_UINT(key);
    uint32_t stored = GUINT32_TO_LE(number);

    if (pread(image, sector, sizeof sector, (off_t)number * SPARSE_DISK_SECTOR_BYTES) > 0 &&
        memcmp(sector, zeros, sizeof sector) != 0) {
        fwrite(&stored, sizeof stored, 1, stdout);
        fwrite(sector, sizeof sector, 1, stdout);
    }
    return FALSE;
}

int main(int argc, char **argv)
{
    struct stat status;

    if (argc != 2 || (image = open(argv[1], O_RDONLY | O_CLOEXEC)) < 0 ||
        fstat(image, &status) != 0) {
        fprintf(stderr, "usage: disk-seed IMAGE >SEED\n");
        return EXIT_FAILURE;
    }
    sectors = g_tree_new(compare);
    g_autoptr(DiskBytes) bytes = disk_bytes_new((uint64_t)status.st_size, read_image, NULL, NULL);
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    g_ptr_array_add(disks, named_disk_new("vda", bytes));
    g_autoptr(GPtrArray) volumes = volumes_find(disks);
    g_autoptr(GPtrArray) states = filesystem_states_read(volumes);
    uint32_t size = GUINT32_TO_LE((uint32_t)(status.st_size / 1024));
    fwrite(&size, sizeof size, 1, stdout);
    g_tree_foreach(sectors, write_sector, NULL);
    g_tree_unref(sectors);
    fprintf(stderr, "%s: %u volumes, %u states\n", argv[1], volumes->len, states->len);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
