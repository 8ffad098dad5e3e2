/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/libvirt-snapshot.h"
#include "prober/counter-source.h"
#include "prober/json-field.h"
#include "prober/libvirt/libvirt-counters.h"
#include "prober/libvirt/libvirt-disks.h"
#include "prober/libvirt/libvirt-service.h"
#include "prober/probe-error.h"
#include "prober/target.h"

typedef struct {
    char *uri;
    char *domain;
    int64_t timeout_ms;
    int interrupt_fd;
    LibvirtService *service;
    CounterSource *counters;
} Snapshots;

char *libvirt_snapshot_xml(const GPtrArray *disks)
{
    GString *xml = g_string_new("<domainsnapshot><disks>");

    for (unsigned i = 0; i < disks->len; i++) {
        const SnapshotDisk *disk = g_ptr_array_index(disks, i);
        g_autofree char *text = g_markup_printf_escaped(
            "<disk name='%s' snapshot='external'><driver type='qcow2'/><source file='%s'/></disk>",
            disk->name, disk->new_image);
        g_string_append(xml, text);
    }
    g_string_append(xml, "</disks></domainsnapshot>");
    return g_string_free(xml, FALSE);
}

static GPtrArray *list_disks(const Snapshots *snapshots, GError **error)
{
    return libvirt_disks_list(snapshots->uri, snapshots->domain, snapshots->timeout_ms,
                              snapshots->interrupt_fd, error);
}

static GPtrArray *snapshots_plan(void *data, const char *folder, GError **error)
{
    g_autoptr(GPtrArray) sources = list_disks(data, error);

    if (!sources)
        return NULL;
    g_autoptr(GPtrArray) disks = g_ptr_array_new_with_free_func((GDestroyNotify)snapshot_disk_free);
    for (unsigned i = 0; i < sources->len; i++) {
        const TargetDiskSource *source = g_ptr_array_index(sources, i);
        SnapshotDisk *disk = g_new0(SnapshotDisk, 1);
        disk->name = g_strdup(source->name);
        disk->image = g_strdup(source->address);
        disk->format = g_strdup(source->format);
        disk->new_image = snapshot_disk_choose_image(disks, disk->name, folder);
        g_ptr_array_add(disks, disk);
    }
    if (disks->len > 0)
        return g_steal_pointer(&disks);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_LIBVIRT,
                "the domain %s has no disk that can be written to",
                ((const Snapshots *)data)->domain);
    return NULL;
}

static GArray *snapshots_sample(void *data, GError **error)
{
    Snapshots *snapshots = data;

    return counter_source_sample(snapshots->counters, snapshots->timeout_ms, error);
}

static bool snapshots_has_not_happened(void *data, const GPtrArray *disks)
{
    g_autoptr(GPtrArray) sources = list_disks(data, NULL);

    for (unsigned i = 0; sources && i < sources->len; i++) {
        const TargetDiskSource *source = g_ptr_array_index(sources, i);
        if (source->address && snapshot_disks_have_new_image(disks, source->address))
            return false;
    }
    return sources != NULL;
}

static SnapshotOutcome snapshots_take(void *data, const GPtrArray *disks, GError **error)
{
    Snapshots *snapshots = data;
    g_autoptr(GError) problem = NULL;
    g_autofree char *xml = libvirt_snapshot_xml(disks);
    json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "xml", json_object_new_string(xml));
    json_object *reply = libvirt_service_call(snapshots->service, "snapshot", arguments,
                                              snapshots->timeout_ms, &problem);
    json_object_put(arguments);
    json_object_put(reply);
    if (!problem)
        return SNAPSHOT_TAKEN;
    /* Without an answer libvirt may be at it still. */
    bool answered = g_error_matches(problem, PROBE_ERROR, PROBE_ERROR_LIBVIRT);
    g_propagate_error(error, g_steal_pointer(&problem));
    return answered && snapshots_has_not_happened(snapshots, disks) ? SNAPSHOT_REFUSED
                                                                    : SNAPSHOT_UNKNOWN;
}

static void snapshots_set_interrupt_fd(void *data, int interrupt_fd)
{
    Snapshots *snapshots = data;

    snapshots->interrupt_fd = interrupt_fd;
    libvirt_service_set_interrupt_fd(snapshots->service, interrupt_fd);
    if (snapshots->counters)
        counter_source_set_interrupt_fd(snapshots->counters, interrupt_fd);
}

static void snapshots_free(void *data)
{
    Snapshots *snapshots = data;

    libvirt_service_free(snapshots->service);
    g_clear_pointer(&snapshots->counters, counter_source_free);
    g_free(snapshots->uri);
    g_free(snapshots->domain);
    g_free(snapshots);
}

SnapshotTaker *libvirt_snapshot_new(const char *uri, const char *domain, int64_t timeout_ms,
                                    int interrupt_fd, GError **error)
{
    static const SnapshotTakerCalls calls = {
        .plan = snapshots_plan,
        .sample = snapshots_sample,
        .take = snapshots_take,
        .has_not_happened = snapshots_has_not_happened,
        .set_interrupt_fd = snapshots_set_interrupt_fd,
        .free = snapshots_free,
    };
    Snapshots *snapshots = g_new0(Snapshots, 1);

    snapshots->uri = g_strdup(uri);
    snapshots->domain = g_strdup(domain);
    snapshots->timeout_ms = timeout_ms;
    snapshots->service = libvirt_service_new(uri, domain, timeout_ms);
    snapshots->counters = libvirt_counters_new(uri, domain, timeout_ms, interrupt_fd, error);
    snapshots_set_interrupt_fd(snapshots, interrupt_fd);
    /* The way to libvirt is made before the freeze, and not in the hold. */
    json_object *reply = snapshots->counters ? libvirt_service_call(snapshots->service, "open",
                                                                    NULL, timeout_ms, error)
                                             : NULL;
    bool reached = reply != NULL;
    json_object_put(reply);
    if (reached)
        return snapshot_taker_new(&calls, snapshots);
    snapshots_free(snapshots);
    return NULL;
}
