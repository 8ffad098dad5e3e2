/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"

#include <errno.h>
#include <sys/utsname.h>
#include <time.h>

/* What runs in the guest, and how it calls itself. Reading a file on a frozen filesystem waits for
 * nothing (the kernel leaves the access time alone then), so all of this stays available. */

/* Members of GuestOSInfo and the keys of os-release(5) that they come from. */
static const struct {
    const char *member;
    const char *key;
} os_release_members[] = {
    {"id", "ID"},
    {"name", "NAME"},
    {"pretty-name", "PRETTY_NAME"},
    {"version", "VERSION"},
    {"version-id", "VERSION_ID"},
    {"variant", "VARIANT"},
    {"variant-id", "VARIANT_ID"},
};

static bool read_kernel_names(struct utsname *names, GError **error)
{
    if (uname(names) == 0)
        return true;
    int cause = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause), "uname: %s",
                g_strerror(cause));
    return false;
}

static bool run_get_osinfo(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    struct utsname names;
    if (!read_kernel_names(&names, error))
        return false;
    json_writer_begin_object(reply, "return");
    json_writer_string(reply, "kernel-release", names.release);
    json_writer_string(reply, "kernel-version", names.version);
    json_writer_string(reply, "machine", names.machine);
    for (size_t i = 0; i < G_N_ELEMENTS(os_release_members); i++) {
        g_autofree char *value = g_get_os_info(os_release_members[i].key);
        json_writer_optional_string(reply, os_release_members[i].member, value);
    }
    json_writer_end_object(reply);
    return true;
}

static bool run_get_host_name(Agent *agent, const void *arguments, JsonWriter *reply,
                              GError **error)
{
    struct utsname names;
    if (!read_kernel_names(&names, error))
        return false;
    json_writer_begin_object(reply, "return");
    json_writer_string(reply, "host-name", names.nodename);
    json_writer_end_object(reply);
    return true;
}

static bool run_get_timezone(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    struct tm local;
    time_t now = time(NULL);
    /* localtime_r(3) alone would go on with the zone of the agent's start. */
    tzset();
    localtime_r(&now, &local);
    json_writer_begin_object(reply, "return");
    json_writer_optional_string(reply, "zone", local.tm_zone);
    json_writer_integer(reply, "offset", local.tm_gmtoff);
    json_writer_end_object(reply);
    return true;
}

const Command os_commands[] = {
    {.name = "guest-get-osinfo", .run = run_get_osinfo, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-get-host-name", .run = run_get_host_name, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-get-timezone", .run = run_get_timezone, .flags = COMMAND_WHILE_FROZEN},
    {.name = NULL},
};
