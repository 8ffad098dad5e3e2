/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli, polynomial 0x1edc6f41, bits reflected), the checksum of ext4's, xfs's and
 * btrfs's metadata. Nothing that is linked here has it: zlib's crc32 is another polynomial.
 * Start with CRC32C_START and pass the result on to go on; xfs and btrfs store the complement of
 * the result, ext4 the result itself.
 */
#define CRC32C_START UINT32_MAX
uint32_t crc32c(uint32_t crc, const void *data, size_t length);
