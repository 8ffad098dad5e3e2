/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/filesystem-state.h"
#include "sparse-disk.h"

/* What is found on a disk (partition tables, LVM, md; libblkid), and what the filesystems on it
 * tell. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    g_autoptr(DiskBytes) bytes = sparse_disk_new(input, length);

    if (bytes == NULL)
        return 0;
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    g_ptr_array_add(disks, named_disk_new("vda", bytes));
    g_autoptr(GPtrArray) volumes = volumes_find(disks);
    g_autoptr(GPtrArray) states = filesystem_states_read(volumes);
    g_assert(volumes->len <= VOLUMES_MAX && disk_bytes_count_read(bytes) <= DISK_BYTES_BUDGET);
    for (unsigned i = 0; i < states->len; i++)
        g_assert(((const FilesystemState *)g_ptr_array_index(states, i))->because != NULL);
    return 0;
}
