/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#define FS_UUID_LENGTH 36

/*
 * The UUID of the mounted filesystem that fd lies on, asked of the kernel where it tells
 * (FS_IOC_GETFSUUID since Linux 6.9, EXT4_IOC_GETFSUUID since 6.0, BTRFS_IOC_FS_INFO), else read by
 * libblkid from source, the mounted device. False and "" when neither knows. May block as long as
 * the device does.
 */
bool fs_uuid_read(int fd, const char *source, char uuid[FS_UUID_LENGTH + 1]);
