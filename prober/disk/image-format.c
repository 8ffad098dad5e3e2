/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/image-format.h"

#include <string.h>

#define HEADER_BYTES 512u
#define SECTOR_BYTES 512u
#define VMDK_DESCRIPTOR_MAX_BYTES (64u * 1024)

/* Whether the image names other files. True is the safe answer. */
typedef bool (*NamesOtherFiles)(DiskBytes *bytes, const unsigned char *header);

typedef struct {
    const char *name;
    unsigned offset;
    unsigned length;
    const char *magic;
    NamesOtherFiles names_other_files; /* NULL: the format has nothing of that kind in QEMU */
} Magic;

static uint64_t big_endian(const unsigned char *field)
{
    uint64_t value;

    memcpy(&value, field, sizeof value);
    return GUINT64_FROM_BE(value);
}

static uint64_t little_endian(const unsigned char *field)
{
    uint64_t value;

    memcpy(&value, field, sizeof value);
    return GUINT64_FROM_LE(value);
}

static bool qcow_names_other_files(DiskBytes *bytes, const unsigned char *header)
{
    return big_endian(header + 8) != 0;
}

static bool qcow2_names_other_files(DiskBytes *bytes, const unsigned char *header)
{
    bool external_data_file = header[7] >= 3 && (big_endian(header + 72) & 4) != 0;

    return external_data_file || big_endian(header + 8) != 0;
}

static bool qed_names_other_files(DiskBytes *bytes, const unsigned char *header)
{
    return (little_endian(header + 16) & 1) != 0;
}

/* A sparse extent may carry its descriptor inside; that one names a parent in a line of text. */
static bool vmdk_names_other_files(DiskBytes *bytes, const unsigned char *header)
{
    uint64_t capacity = little_endian(header + 12);
    uint64_t sector = little_endian(header + 28);
    uint64_t sectors = little_endian(header + 36);

    if (capacity == 0 || sectors > VMDK_DESCRIPTOR_MAX_BYTES / SECTOR_BYTES ||
        sector > disk_bytes_size(bytes) / SECTOR_BYTES)
        return true;
    size_t length = (size_t)sectors * SECTOR_BYTES;
    g_autofree char *descriptor = g_malloc0(length + 1);
    return !disk_bytes_read(bytes, sector * SECTOR_BYTES, descriptor, length, NULL) ||
           memmem(descriptor, length, "parentFileNameHint", strlen("parentFileNameHint")) != NULL;
}

static bool always(DiskBytes *bytes, const unsigned char *header)
{
    return true;
}

static const Magic magics[] = {
    {"qcow", 0, 8, "QFI\xfb\0\0\0\1", qcow_names_other_files},
    {"qcow2", 0, 4, "QFI\xfb", qcow2_names_other_files},
    {"qed", 0, 4, "QED\0", qed_names_other_files},
    {"vmdk", 0, 4, "KDMV", vmdk_names_other_files},
    {"vmdk", 0, 4, "COWD", always},
    {"vmdk", 0, 21, "# Disk DescriptorFile", always},
    {"vdi", 0x40, 4, "\x7f\x10\xda\xbe", NULL},
    {"vhdx", 0, 8, "vhdxfile", NULL},
    {"vpc", 0, 8, "conectix", NULL},
    {"parallels", 0, 16, "WithoutFreeSpace", NULL},
    {"parallels", 0, 16, "WithouFreSpacExt", NULL},
};

bool image_format_find(DiskBytes *bytes, ImageFormat *found, GError **error)
{
    unsigned char header[HEADER_BYTES] = {0};

    *found = (ImageFormat){0};
    if (!disk_bytes_read(bytes, 0, header, (size_t)MIN(disk_bytes_size(bytes), HEADER_BYTES),
                         error))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(magics); i++) {
        const Magic *magic = &magics[i];
        if (memcmp(header + magic->offset, magic->magic, magic->length) != 0)
            continue;
        found->name = magic->name;
        found->names_other_files =
            magic->names_other_files && magic->names_other_files(bytes, header);
        break;
    }
    return true;
}
