/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/libvirt-domains.h"
#include "prober/json-field.h"
#include "prober/libvirt/libvirt-service.h"

#define MAX_DOMAINS 10000

GStrv libvirt_domains_list(const char *uri, int64_t timeout_ms, GError **error)
{
    g_autoptr(LibvirtService) service = libvirt_service_new(uri, "", timeout_ms);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    json_object *reply = libvirt_service_call(service, "list", NULL, timeout_ms, error);

    if (!reply)
        return NULL;
    json_object *names = json_field_array(reply, "domains");
    for (size_t i = 0; i < json_field_length(names, MAX_DOMAINS); i++)
        g_strv_builder_add(builder, json_object_get_string(json_object_array_get_idx(names, i)));
    json_object_put(reply);
    return g_strv_builder_end(builder);
}
