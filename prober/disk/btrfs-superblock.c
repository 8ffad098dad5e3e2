/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/btrfs-superblock.h"

#include "prober/disk/crc32c.h"
#include "prober/disk/disk-field.h"
#include "prober/probe-error.h"

#define MAGIC "_BHRfS_M"
#define CHECKSUM_BYTES 32
#define SHA256_BYTES 32

static const uint64_t places[BTRFS_MIRRORS + 1] = {
    (uint64_t)64 << 10,
    (uint64_t)64 << 20,
    (uint64_t)256 << 30,
};

static BtrfsChecksum as_checksum(bool right)
{
    return right ? BTRFS_CHECKSUM_RIGHT : BTRFS_CHECKSUM_WRONG;
}

static BtrfsChecksum verify_crc32c(const uint8_t *raw)
{
    uint32_t crc =
        ~crc32c(CRC32C_START, raw + CHECKSUM_BYTES, BTRFS_SUPERBLOCK_BYTES - CHECKSUM_BYTES);

    return as_checksum(crc == disk_field_le32(raw));
}

static BtrfsChecksum verify_sha256(const uint8_t *raw)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t digest[SHA256_BYTES];
    gsize length = sizeof digest;

    g_checksum_update(checksum, raw + CHECKSUM_BYTES, BTRFS_SUPERBLOCK_BYTES - CHECKSUM_BYTES);
    g_checksum_get_digest(checksum, digest, &length);
    return as_checksum(memcmp(digest, raw, sizeof digest) == 0);
}

static BtrfsChecksum leave_unverified(const uint8_t *raw)
{
    return BTRFS_CHECKSUM_NOT_VERIFIED;
}

static const struct {
    const char *name;
    BtrfsChecksum (*verify)(const uint8_t *raw);
} checksums[] = {
    {"crc32c", verify_crc32c},
    {"xxhash64", leave_unverified},
    {"sha256", verify_sha256},
    {"blake2b", leave_unverified},
};

bool btrfs_superblock_read(DiskBytes *bytes, unsigned mirror, BtrfsSuperblock *superblock,
                           GError **error)
{
    uint8_t *raw = superblock->raw;
    uint16_t kind;

    if (!disk_bytes_read(bytes, places[mirror], raw, BTRFS_SUPERBLOCK_BYTES, error))
        return false;
    if (memcmp(raw + 64, MAGIC, strlen(MAGIC)) != 0) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "there is no btrfs superblock");
        return false;
    }
    kind = disk_field_le16(raw + 196);
    superblock->checksum = BTRFS_CHECKSUM_WRONG;
    superblock->checksum_name = "unknown kind";
    if (kind < G_N_ELEMENTS(checksums)) {
        superblock->checksum = checksums[kind].verify(raw);
        superblock->checksum_name = checksums[kind].name;
    }
    /* A superblock knows its own place: one that was copied elsewhere counts as damaged. */
    if (disk_field_le64(raw + 48) != places[mirror])
        superblock->checksum = BTRFS_CHECKSUM_WRONG;
    superblock->generation = disk_field_le64(raw + 72);
    superblock->log_root = disk_field_le64(raw + 96);
    superblock->devices = disk_field_le64(raw + 136);
    superblock->device = disk_field_le64(raw + 201);
    return true;
}

const uint8_t *btrfs_superblock_uuid(const BtrfsSuperblock *superblock)
{
    return superblock->raw + 32;
}

const uint8_t *btrfs_superblock_device_uuid(const BtrfsSuperblock *superblock)
{
    return superblock->raw + 267;
}
