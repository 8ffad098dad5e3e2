/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/libvirt-agent.h"
#include "prober/json-field.h"
#include "prober/libvirt/libvirt-service.h"
#include "prober/probe-error.h"

/* libvirt counts in seconds, and knows more about what went wrong: its own end comes first. */
#define LIBVIRT_FIRST_MS 1000

static void libvirt_agent_set_interrupt_fd(void *data, int interrupt_fd)
{
    libvirt_service_set_interrupt_fd(data, interrupt_fd);
}

static void libvirt_agent_disconnect(void *data)
{
    libvirt_service_stop(data);
}

static void libvirt_agent_free(void *data)
{
    libvirt_service_free(data);
}

/* libvirt does so by itself before each command: qemuAgentGuestSync in src/qemu/qemu_agent.c. */
static bool libvirt_agent_sync(void *data, int64_t timeout_ms, GError **error)
{
    return true;
}

static json_object *request_new(const char *command, json_object *arguments, int64_t timeout_s)
{
    json_object *inner = json_object_new_object();
    json_object *request = json_object_new_object();

    json_object_object_add(inner, "execute", json_object_new_string(command));
    if (arguments)
        json_object_object_add(inner, "arguments", json_object_get(arguments));
    json_object_object_add(request, "command", json_object_new_string(command));
    json_object_object_add(request, "request",
                           json_object_new_string(json_object_to_json_string(inner)));
    json_object_object_add(request, "timeout-s", json_object_new_int64(timeout_s));
    json_object_put(inner);
    return request;
}

static json_object *libvirt_agent_call(void *data, const char *command, json_object *arguments,
                                       int64_t timeout_ms, GError **error)
{
    int64_t timeout_s = (timeout_ms + 999) / 1000;
    json_object *request = request_new(command, arguments, timeout_s);
    json_object *reply =
        libvirt_service_call(data, "agent", request, timeout_s * 1000 + LIBVIRT_FIRST_MS, error);
    json_object *value = NULL;

    json_object_put(request);
    if (!reply)
        return NULL;
    if (!json_object_object_get_ex(json_field_object(reply, "answer"), "return", &value))
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_LIBVIRT,
                    "what libvirt passes on as the answer to %s is none", command);
    value = json_object_get(value);
    json_object_put(reply);
    return value;
}

static const AgentLinkCalls libvirt_calls = {
    .set_interrupt_fd = libvirt_agent_set_interrupt_fd,
    .disconnect = libvirt_agent_disconnect,
    .sync = libvirt_agent_sync,
    .call = libvirt_agent_call,
    .free = libvirt_agent_free,
};

AgentLink *libvirt_agent_new(const char *name, const char *words, const char *uri,
                             const char *domain, int64_t timeout_ms)
{
    return agent_link_new(name, words, &libvirt_calls, libvirt_service_new(uri, domain, timeout_ms),
                          timeout_ms);
}
