/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer: any bytes are a disk's image; the first one chooses the reader and a repair of the
 * superblock's checksum, without which no change would get past it. */
#include "prober/disk/btrfs-state.h"
#include "prober/disk/crc32c.h"
#include "prober/disk/ext-state.h"
#include "prober/disk/xfs-state.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void store(uint8_t *at, uint32_t crc)
{
    crc = GUINT32_TO_LE(crc);
    memcpy(at, &crc, sizeof crc);
}

static void fuzz_ext(uint8_t *image, size_t size, DiskBytes *bytes)
{
    if (size >= 2048)
        store(image + 1024 + 0x3fc, crc32c(CRC32C_START, image + 1024, 0x3fc));
    filesystem_state_free(ext_state_read(bytes));
}

static void fuzz_xfs(uint8_t *image, size_t size, DiskBytes *bytes)
{
    if (size >= 512) {
        store(image + 224, 0);
        store(image + 224, ~crc32c(CRC32C_START, image, 512));
    }
    filesystem_state_free(xfs_state_read(bytes));
}

static void fuzz_btrfs(uint8_t *image, size_t size, DiskBytes *bytes)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new_with_free_func(btrfs_device_free);

    if (size >= 68 * 1024)
        store(image + 65536, ~crc32c(CRC32C_START, image + 65536 + 32, 4096 - 32));
    g_ptr_array_add(devices, btrfs_device_new("a", bytes));
    g_ptr_array_unref(btrfs_states_read(devices));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(uint8_t *, size_t, DiskBytes *) = {fuzz_ext, fuzz_xfs,
                                                                      fuzz_btrfs};
    if (size < 2)
        return 0;
    g_autofree uint8_t *image = g_memdup2(data + 1, size - 1);
    g_autoptr(DiskBytes) bytes = disk_bytes_new_memory(image, size - 1);
    readers[data[0] % G_N_ELEMENTS(readers)](image, size - 1, bytes);
    return 0;
}
