/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-exec.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"

#define POLL_EVERY_US (20 * 1000)

void guest_exec_result_clear(GuestExecResult *result)
{
    g_clear_pointer(&result->output, g_free);
    g_clear_pointer(&result->errors, g_free);
    result->exited = false;
}

bool guest_exec_start(AgentLink *link, const char *const *command, int64_t *pid, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_object *arguments = json_object_new_object();
    json_object *list = json_object_new_array();

    json_object_object_add(arguments, "path", json_object_new_string(command[0]));
    for (const char *const *argument = command + 1; *argument; argument++)
        json_object_array_add(list, json_object_new_string(*argument));
    json_object_object_add(arguments, "arg", list);
    json_object_object_add(arguments, "capture-output", json_object_new_boolean(TRUE));
    json_object *reply = agent_link_call(link, "guest-exec", arguments, &problem);
    json_object_put(arguments);

    bool started = !problem && json_field_integer(reply, "pid", pid);
    json_object_put(reply);
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    else if (!started)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST, "guest-exec answered without a pid");
    return started;
}

static char *decode(json_object *reply, const char *member)
{
    const char *encoded = json_field_string(reply, member);
    gsize length = 0;
    g_autofree guchar *bytes = encoded ? g_base64_decode(encoded, &length) : NULL;

    return bytes ? g_strndup((const char *)bytes, length) : g_strdup("");
}

bool guest_exec_poll(AgentLink *link, int64_t pid, GuestExecResult *result, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_object *arguments = json_object_new_object();

    guest_exec_result_clear(result);
    json_object_object_add(arguments, "pid", json_object_new_int64(pid));
    json_object *reply = agent_link_call(link, "guest-exec-status", arguments, &problem);
    json_object_put(arguments);
    if (problem) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    json_field_boolean(reply, "exited", &result->exited);
    if (result->exited) {
        result->exit_code = -1;
        json_field_integer(reply, "exitcode", &result->exit_code);
        result->output = decode(reply, "out-data");
        result->errors = decode(reply, "err-data");
    }
    json_object_put(reply);
    return true;
}

bool guest_exec_wait(AgentLink *link, int64_t pid, int64_t timeout_ms, GuestExecResult *result,
                     GError **error)
{
    int64_t deadline_us = g_get_monotonic_time() + timeout_ms * 1000;

    for (;;) {
        if (!guest_exec_poll(link, pid, result, error))
            return false;
        if (result->exited)
            return true;
        if (g_get_monotonic_time() >= deadline_us) {
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                        "a program run in the guest did not end within %" G_GINT64_FORMAT " ms",
                        timeout_ms);
            return false;
        }
        g_usleep(POLL_EVERY_US);
    }
}

bool guest_exec_run(AgentLink *link, const char *const *command, int64_t timeout_ms,
                    GuestExecResult *result, GError **error)
{
    int64_t pid = 0;

    return guest_exec_start(link, command, &pid, error) &&
           guest_exec_wait(link, pid, timeout_ms, result, error);
}
