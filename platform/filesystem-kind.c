/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/filesystem-kind.h"

#include <glib.h>
#include <libmount/libmount.h>

static const struct {
    const char *reason;
    bool can_hang;
} kinds[] = {
    [FILESYSTEM_LOCAL] = {NULL, false},
    [FILESYSTEM_PSEUDO] = {"pseudo filesystem, holds nothing on a disk", false},
    [FILESYSTEM_NETWORK] = {"network filesystem, its server is not part of this guest", true},
    [FILESYSTEM_FUSE] = {"FUSE filesystem, the kernel cannot freeze it", true},
    [FILESYSTEM_IMAGE] = {"read-only image, nothing ever writes to it", false},
    [FILESYSTEM_STACKED] = {"stacked filesystem, writes land on filesystems frozen by themselves",
                            false},
};

/* What libmount's own lists of pseudo and network types do not know, or file under another kind
 * than we need. */
static const struct {
    const char *fs_type;
    FilesystemKind kind;
} types[] = {
    {"aufs", FILESYSTEM_STACKED},
    {"cramfs", FILESYSTEM_IMAGE},
    {"ecryptfs", FILESYSTEM_STACKED},
    {"erofs", FILESYSTEM_IMAGE},
    {"fuse", FILESYSTEM_FUSE},
    {"fuseblk", FILESYSTEM_FUSE},
    {"fusectl", FILESYSTEM_PSEUDO},
    {"iso9660", FILESYSTEM_IMAGE},
    {"overlay", FILESYSTEM_STACKED},
    {"overlayfs", FILESYSTEM_STACKED},
    {"romfs", FILESYSTEM_IMAGE},
    {"secretmem", FILESYSTEM_PSEUDO},
    {"shiftfs", FILESYSTEM_STACKED},
    {"squashfs", FILESYSTEM_IMAGE},
    {"unionfs", FILESYSTEM_STACKED},
    {"wslfs", FILESYSTEM_STACKED},
    /* shared by the host, or served from elsewhere */
    {"acfs", FILESYSTEM_NETWORK},
    {"beegfs", FILESYSTEM_NETWORK},
    {"ceph", FILESYSTEM_NETWORK},
    {"coda", FILESYSTEM_NETWORK},
    {"drvfs", FILESYSTEM_NETWORK},
    {"gpfs", FILESYSTEM_NETWORK},
    {"lustre", FILESYSTEM_NETWORK},
    {"orangefs", FILESYSTEM_NETWORK},
    {"prl_fs", FILESYSTEM_NETWORK},
    {"pvfs2", FILESYSTEM_NETWORK},
    {"vboxsf", FILESYSTEM_NETWORK},
    {"virtiofs", FILESYSTEM_NETWORK},
    {"vmhgfs", FILESYSTEM_NETWORK},
};

FilesystemKind filesystem_kind(const char *fs_type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (g_str_equal(fs_type, types[i].fs_type))
            return types[i].kind;
    if (g_str_has_prefix(fs_type, "fuse."))
        return FILESYSTEM_FUSE;
    /* In this order: libmount takes everything that begins with "nfs" for a network type, nfsd
     * included. */
    if (mnt_fstype_is_pseudofs(fs_type))
        return FILESYSTEM_PSEUDO;
    if (mnt_fstype_is_netfs(fs_type))
        return FILESYSTEM_NETWORK;
    return FILESYSTEM_LOCAL;
}

const char *filesystem_kind_reason(FilesystemKind kind)
{
    return kinds[kind].reason;
}

bool filesystem_kind_can_hang(FilesystemKind kind)
{
    return kinds[kind].can_hang;
}
