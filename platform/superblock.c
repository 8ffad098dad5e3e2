/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/superblock.h"

#include <blkid.h>
#include <errno.h>

typedef struct blkid_struct_probe BlkidProbe;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlkidProbe, blkid_free_probe)

enum { BLKID_PROBE_FOUND = 0, BLKID_PROBE_NOTHING = 1, BLKID_PROBE_AMBIVALENT = -2 };

static char *lookup(blkid_probe probe, const char *name)
{
    const char *value = NULL;

    return blkid_probe_lookup_value(probe, name, &value, NULL) == 0 ? g_strdup(value) : NULL;
}

Superblock *superblock_probe(const char *path, GError **error)
{
    g_autoptr(BlkidProbe) probe = NULL;
    g_autoptr(Superblock) superblock = g_new0(Superblock, 1);
    int rc;

    errno = 0;
    probe = blkid_new_probe_from_filename(path);
    if (!probe) {
        int cause = errno ? errno : EIO;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot open %s to read its superblock: %s", path, g_strerror(cause));
        return NULL;
    }
    blkid_probe_enable_superblocks(probe, TRUE);
    blkid_probe_set_superblocks_flags(probe,
                                      BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL);
    errno = 0;
    rc = blkid_do_safeprobe(probe);
    if (rc == BLKID_PROBE_AMBIVALENT) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "cannot tell the filesystem on %s: it carries more than one signature (see "
                    "wipefs(8))",
                    path);
        return NULL;
    }
    if (rc != BLKID_PROBE_FOUND && rc != BLKID_PROBE_NOTHING) {
        int cause = errno ? errno : EIO;

        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot read the superblock on %s: %s", path, g_strerror(cause));
        return NULL;
    }
    superblock->type = lookup(probe, "TYPE");
    superblock->uuid = lookup(probe, "UUID");
    superblock->label = lookup(probe, "LABEL");
    return g_steal_pointer(&superblock);
}

void superblock_free(Superblock *superblock)
{
    if (!superblock)
        return;
    g_free(superblock->type);
    g_free(superblock->uuid);
    g_free(superblock->label);
    g_free(superblock);
}
