/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/inspect.h"
#include "prober/disk/disk-image.h"
#include "prober/disk/filesystem-state.h"
#include "prober/disk/named-disk.h"
#include "prober/disk/volume.h"
#include "prober/evidence-disk.h"

#include <string.h>

static void image_free(InspectedImage *image)
{
    g_free(image->address);
    g_free(image);
}

/* A file's name is enough; of other addresses every part may matter. */
static char *disk_name(const char *address)
{
    if (g_file_test(address, G_FILE_TEST_EXISTS))
        return g_path_get_basename(address);
    return g_strdup(address);
}

static bool open_image(const InspectRequest *request, const char *address, GPtrArray *disks,
                       GError **error)
{
    const DiskImageSource source = {
        .address = address,
        .format = request->format,
        .snapshot = request->snapshot,
        .timeout_ms = request->timeout_ms,
        .interrupt_fd = request->interrupt_fd,
    };
    g_autoptr(DiskBytes) bytes = disk_image_open(&source, error);

    if (!bytes)
        return false;
    g_autofree char *name = disk_name(address);
    g_ptr_array_add(disks, named_disk_new(name, bytes));
    return true;
}

static void note_images(InspectReport *report, const InspectRequest *request,
                        const GPtrArray *disks)
{
    for (unsigned i = 0; i < disks->len; i++) {
        const NamedDisk *disk = g_ptr_array_index(disks, i);
        InspectedImage *image = g_new0(InspectedImage, 1);
        image->address = g_strdup(request->addresses[i]);
        image->size = disk_bytes_size(disk->bytes);
        image->bytes_read = disk_bytes_count_read(disk->bytes);
        g_ptr_array_add(report->images, image);
    }
}

/* There is nobody's claim to compare with: the disks' word stands alone. */
static Verdict verdict_of(const Evidence *evidence)
{
    static const Verdict verdicts[] = {
        [EVIDENCE_FOR] = VERDICT_FROZEN,
        [EVIDENCE_AGAINST] = VERDICT_NOT_FROZEN,
        [EVIDENCE_SILENT] = VERDICT_UNPROVEN,
    };

    return verdicts[evidence->stance];
}

InspectReport *inspect_run(const InspectRequest *request, GError **error)
{
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    const HookOutcome no_hooks = {.known = false};

    for (const char *const *address = request->addresses; *address; address++) {
        if (!open_image(request, *address, disks, error))
            return NULL;
    }
    InspectReport *report = g_new0(InspectReport, 1);
    report->images = g_ptr_array_new_with_free_func((GDestroyNotify)image_free);
    report->evidence = g_ptr_array_new_with_free_func((GDestroyNotify)evidence_free);
    report->volumes = volumes_find(disks);
    report->states = filesystem_states_read(report->volumes);
    Evidence *evidence = evidence_disk_judge_image(report->states);
    g_ptr_array_add(report->evidence, evidence);
    report->verdict = verdict_of(evidence);
    report->consistency = verdict_consistency(report->verdict, &no_hooks);
    note_images(report, request, disks);
    return report;
}

void inspect_report_free(InspectReport *report)
{
    g_ptr_array_unref(report->images);
    g_ptr_array_unref(report->volumes);
    g_ptr_array_unref(report->states);
    g_ptr_array_unref(report->evidence);
    g_free(report);
}
