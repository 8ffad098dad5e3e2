/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/libvirt-disks.h"
#include "prober/json-field.h"
#include "prober/libvirt/libvirt-service.h"
#include "prober/target.h"

static TargetDiskSource *read_source(json_object *element)
{
    TargetDiskSource *source = g_new0(TargetDiskSource, 1);

    source->name = g_strdup(json_field_string(element, "name"));
    source->address = g_strdup(json_field_string(element, "address"));
    source->format = g_strdup(json_field_string(element, "format"));
    source->problem = g_strdup(json_field_string(element, "problem"));
    return source;
}

GPtrArray *libvirt_disks_list(const char *uri, const char *domain, int64_t timeout_ms,
                              int interrupt_fd, GError **error)
{
    g_autoptr(LibvirtService) service = libvirt_service_new(uri, domain, timeout_ms);

    libvirt_service_set_interrupt_fd(service, interrupt_fd);
    json_object *reply = libvirt_service_call(service, "disks", NULL, timeout_ms, error);
    if (!reply)
        return NULL;
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)target_disk_source_free);
    json_object *disks = json_field_array(reply, "disks");
    for (size_t i = 0; i < json_field_length(disks, COUNTER_WATCH_MAX_DEVICES); i++) {
        json_object *element = json_object_array_get_idx(disks, i);
        bool writable = true;
        json_field_boolean(element, "writable", &writable);
        if (writable)
            g_ptr_array_add(list, read_source(element));
    }
    json_object_put(reply);
    return list;
}
