/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/lvm-label.h"
#include "prober/disk/disk-field.h"
#include "prober/probe-error.h"

#include <string.h>

#define SECTOR_BYTES 512u
#define LABEL_SECTORS 4u
#define LABEL_CHECKSUM_OFFSET 16u
#define LABEL_CHECKED_FROM 20u
#define LABEL_HEADER_OFFSET 20u
#define UUID_BYTES 32u
/* pv_header: uuid, device size, then two lists of areas, each ended by zeros. */
#define PV_HEADER_AREAS 40u
#define AREA_BYTES 16u
#define MAX_METADATA_AREAS 4u

#define MDA_HEADER_BYTES 512u
#define MDA_MAGIC " LVM2 x[5A%r0N*>"
#define MDA_CHECKED_FROM 4u
#define MDA_START 24u
#define MDA_SIZE 32u
#define MDA_LOCATION 40u /* the committed one; a second may stand behind it */
#define LOCATION_IGNORED 1u

typedef struct {
    uint64_t offset;
    uint64_t size;
} Area;

typedef struct {
    Area areas[MAX_METADATA_AREAS];
    unsigned count;
} MetadataAreas;

/* CRC-32 with LVM's own start value, and without the inversion at the end. */
uint32_t lvm_label_checksum(const void *data, size_t length)
{
    uint32_t crc = 0xf597a6cfu;

    for (size_t i = 0; i < length; i++) {
        crc ^= ((const uint8_t *)data)[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}

static bool fail(GError **error, const char *what)
{
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "an LVM physical volume: %s", what);
    return false;
}

/* ---- the label ---- */

static bool is_label(const uint8_t *sector)
{
    return memcmp(sector, "LABELONE", 8) == 0 && memcmp(sector + 24, "LVM2 001", 8) == 0 &&
           lvm_label_checksum(sector + LABEL_CHECKED_FROM, SECTOR_BYTES - LABEL_CHECKED_FROM) ==
               disk_field_le32(sector + LABEL_CHECKSUM_OFFSET);
}

/* The list of data areas is stepped over; *at is left behind a list's end. */
static bool next_area(const uint8_t *sector, size_t *at, Area *area)
{
    if (*at + AREA_BYTES > SECTOR_BYTES)
        return false;
    area->offset = disk_field_le64(sector + *at);
    area->size = disk_field_le64(sector + *at + 8);
    *at += AREA_BYTES;
    return area->offset != 0;
}

static bool read_header(LvmLabel *label, const uint8_t *sector, MetadataAreas *metadata)
{
    size_t header = disk_field_le32(sector + LABEL_HEADER_OFFSET);
    Area area;

    if (header > SECTOR_BYTES - PV_HEADER_AREAS)
        return false;
    label->uuid = g_strndup((const char *)sector + header, UUID_BYTES);
    size_t at = header + PV_HEADER_AREAS;
    while (next_area(sector, &at, &area))
        continue;
    while (metadata->count < MAX_METADATA_AREAS && next_area(sector, &at, &area))
        metadata->areas[metadata->count++] = area;
    return true;
}

/* ---- the metadata ---- */

/* The text lies in a ring behind the area's header. */
static bool read_ring(DiskBytes *bytes, const Area *area, const Area *text, char *buffer,
                      GError **error)
{
    uint64_t until_end = area->size - text->offset;
    size_t first = (size_t)MIN(text->size, until_end);

    return disk_bytes_read(bytes, area->offset + text->offset, buffer, first, error) &&
           (first == text->size ||
            disk_bytes_read(bytes, area->offset + MDA_HEADER_BYTES, buffer + first,
                            (size_t)text->size - first, error));
}

static bool check_text(const Area *area, const Area *text, GError **error)
{
    if (area->size > MDA_HEADER_BYTES && text->offset >= MDA_HEADER_BYTES &&
        text->offset < area->size && text->size <= area->size - MDA_HEADER_BYTES &&
        text->size <= LVM_TEXT_MAX_BYTES)
        return true;
    return fail(error, "its metadata lie outside their area");
}

static LvmNode *read_text(DiskBytes *bytes, const Area *area, const Area *text, uint32_t checksum,
                          GError **error)
{
    if (!check_text(area, text, error))
        return NULL;
    g_autofree char *buffer = g_malloc((size_t)text->size);
    if (!read_ring(bytes, area, text, buffer, error))
        return NULL;
    if (lvm_label_checksum(buffer, (size_t)text->size) != checksum) {
        fail(error, "its metadata are damaged, or were just being changed: the checksum is wrong");
        return NULL;
    }
    return lvm_text_parse(buffer, (size_t)text->size, error);
}

/* NULL without an error: this area holds no copy. */
static LvmNode *read_metadata(DiskBytes *bytes, const Area *area, GError **error)
{
    uint8_t header[MDA_HEADER_BYTES];

    if (!disk_bytes_read(bytes, area->offset, header, sizeof header, error))
        return NULL;
    if (memcmp(header + 4, MDA_MAGIC, strlen(MDA_MAGIC)) != 0 ||
        lvm_label_checksum(header + MDA_CHECKED_FROM, sizeof header - MDA_CHECKED_FROM) !=
            disk_field_le32(header) ||
        disk_field_le64(header + MDA_START) != area->offset) {
        fail(error, "the header of its metadata is damaged");
        return NULL;
    }
    const uint8_t *location = header + MDA_LOCATION;
    Area text = {.offset = disk_field_le64(location), .size = disk_field_le64(location + 8)};
    if (text.offset == 0 || (disk_field_le32(location + 20) & LOCATION_IGNORED))
        return NULL;
    Area whole = {.offset = area->offset, .size = disk_field_le64(header + MDA_SIZE)};
    return read_text(bytes, &whole, &text, disk_field_le32(location + 16), error);
}

static void read_first_metadata(LvmLabel *label, DiskBytes *bytes, const MetadataAreas *metadata)
{
    for (unsigned i = 0; i < metadata->count && !label->metadata; i++) {
        g_autoptr(GError) problem = NULL;
        label->metadata = read_metadata(bytes, &metadata->areas[i], &problem);
        if (problem && !label->problem)
            label->problem = g_strdup(problem->message);
    }
}

LvmLabel *lvm_label_read(DiskBytes *bytes, GError **error)
{
    uint8_t sectors[LABEL_SECTORS * SECTOR_BYTES];
    g_autoptr(LvmLabel) label = g_new0(LvmLabel, 1);
    MetadataAreas metadata = {.count = 0};

    if (!disk_bytes_read(bytes, 0, sectors, sizeof sectors, error))
        return NULL;
    for (unsigned i = 0; i < LABEL_SECTORS; i++) {
        const uint8_t *sector = sectors + i * SECTOR_BYTES;
        if (!is_label(sector) || !read_header(label, sector, &metadata))
            continue;
        read_first_metadata(label, bytes, &metadata);
        return g_steal_pointer(&label);
    }
    fail(error, "its label is damaged");
    return NULL;
}

void lvm_label_free(LvmLabel *label)
{
    g_free(label->uuid);
    g_clear_pointer(&label->metadata, lvm_node_free);
    g_free(label->problem);
    g_free(label);
}
