/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/fs-uuid.h"

#include "platform/superblock.h"

#include <glib.h>
#include <linux/btrfs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

/* Debian 12's linux/fs.h predates these two. Source: include/uapi/linux/fs.h (struct fsuuid2, Linux
 * 6.9) and fs/ext4/ext4.h (struct fsuuid, Linux 6.0). */
struct kernel_fsuuid2 {
    uint8_t length;
    uint8_t uuid[16];
};
struct kernel_ext4_fsuuid {
    uint32_t length;
    uint32_t flags;
    uint8_t uuid[16];
};
#define KERNEL_FS_IOC_GETFSUUID _IOR(0x15, 0, struct kernel_fsuuid2)
#define KERNEL_EXT4_IOC_GETFSUUID _IOR('f', 44, uint32_t[2])

static bool ask_generic(int fd, uint8_t uuid[16])
{
    struct kernel_fsuuid2 answer = {0};

    if (ioctl(fd, KERNEL_FS_IOC_GETFSUUID, &answer) < 0 || answer.length != 16)
        return false;
    memcpy(uuid, answer.uuid, 16);
    return true;
}

static bool ask_ext4(int fd, uint8_t uuid[16])
{
    struct kernel_ext4_fsuuid answer = {.length = 16};

    if (ioctl(fd, KERNEL_EXT4_IOC_GETFSUUID, &answer) < 0 || answer.length != 16)
        return false;
    memcpy(uuid, answer.uuid, 16);
    return true;
}

static bool ask_btrfs(int fd, uint8_t uuid[16])
{
    struct btrfs_ioctl_fs_info_args answer = {0};

    if (ioctl(fd, BTRFS_IOC_FS_INFO, &answer) < 0)
        return false;
    memcpy(uuid, answer.fsid, 16);
    return true;
}

bool fs_uuid_read(int fd, const char *source, char uuid[FS_UUID_LENGTH + 1])
{
    uint8_t bytes[16];

    uuid[0] = '\0';
    if (ask_generic(fd, bytes) || ask_ext4(fd, bytes) || ask_btrfs(fd, bytes)) {
        for (unsigned i = 0; i < 16; i++) {
            bool dash = i == 4 || i == 6 || i == 8 || i == 10;
            g_snprintf(uuid + strlen(uuid), 4, "%s%02x", dash ? "-" : "", bytes[i]);
        }
        return true;
    }
    if (source[0] != '/')
        return false;
    g_autoptr(Superblock) superblock = superblock_probe(source, NULL);
    if (!superblock || !superblock->uuid)
        return false;
    g_strlcpy(uuid, superblock->uuid, FS_UUID_LENGTH + 1);
    return true;
}
