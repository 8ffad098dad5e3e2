/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/volume-identity.h"
#include "prober/probe-error.h"

#include <string.h>

/* What blkid_do_safeprobe() returns. */
#define PROBE_AMBIVALENT (-2)
#define PROBE_FAILED (-1)
#define PROBE_NOTHING 1

static VolumeUsage usage_from_name(const char *name)
{
    static const struct {
        const char *name;
        VolumeUsage usage;
    } table[] = {
        {"filesystem", VOLUME_USAGE_FILESYSTEM},
        {"raid", VOLUME_USAGE_RAID},
        {"crypto", VOLUME_USAGE_CRYPTO},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (g_strcmp0(name, table[i].name) == 0)
            return table[i].usage;
    }
    return VOLUME_USAGE_OTHER;
}

/* Labels are the guest's and may hold anything. */
static char *value(blkid_probe probe, const char *name)
{
    const char *data = NULL;

    if (blkid_probe_lookup_value(probe, name, &data, NULL) != 0 || !data || *data == '\0')
        return NULL;
    return g_utf8_make_valid(data, -1);
}

static uint64_t magic_offset(blkid_probe probe)
{
    const char *text = NULL;

    if (blkid_probe_lookup_value(probe, "SBMAGIC_OFFSET", &text, NULL) != 0)
        return 0;
    return g_ascii_strtoull(text, NULL, 10);
}

VolumeIdentity *volume_identity_read(const VolumeWindow *window, GError **error)
{
    g_auto(blkid_probe) probe = volume_window_probe(window, error);

    if (!probe)
        return NULL;
    blkid_probe_enable_superblocks(probe, 1);
    blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE |
                                                 BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL |
                                                 BLKID_SUBLKS_MAGIC);
    int result = blkid_do_safeprobe(probe);
    if (result == PROBE_FAILED) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "libblkid failed on a volume");
        return NULL;
    }

    VolumeIdentity *identity = g_new0(VolumeIdentity, 1);
    if (result == PROBE_AMBIVALENT) {
        identity->usage = VOLUME_USAGE_AMBIGUOUS;
    } else if (result != PROBE_NOTHING) {
        g_autofree char *usage = value(probe, "USAGE");
        identity->usage = usage_from_name(usage);
        identity->type = value(probe, "TYPE");
        identity->uuid = value(probe, "UUID");
        identity->uuid_sub = value(probe, "UUID_SUB");
        identity->label = value(probe, "LABEL");
        identity->magic_offset = magic_offset(probe);
        if (!identity->type)
            identity->usage = VOLUME_USAGE_NONE;
    }
    return identity;
}

void volume_identity_free(VolumeIdentity *identity)
{
    g_free(identity->type);
    g_free(identity->uuid);
    g_free(identity->uuid_sub);
    g_free(identity->label);
    g_free(identity);
}
