/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The kernel's freeze and thaw of one superblock, through any open descriptor on it.
 * Both return 0 or a positive errno. FIFREEZE and FITHAW sleep uninterruptibly and cannot be
 * cancelled. Source: linux/fs.h, fs/ioctl.c (ioctl_fsfreeze, ioctl_fsthaw), fs/super.c.
 *
 * freeze: EOPNOTSUPP the filesystem cannot be frozen; EBUSY it is frozen already (by anybody);
 *         EPERM no CAP_SYS_ADMIN in the superblock's user namespace.
 * thaw:   EINVAL it is not frozen.
 */
int freeze_ioctl_freeze(int fd);
int freeze_ioctl_thaw(int fd);
