/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/live-disks.h"
#include "prober/block-counters.h"
#include "prober/disk/nbd-connection.h"
#include "prober/disk/private-socket.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_NAME "quiesce-probe-nbd"
/* Removing is waited for longer than asking: what is left behind stays until QEMU ends. */
#define REMOVE_TIMEOUT_MS 10000

struct LiveDisks {
    Qmp *qmp;
    int64_t timeout_ms;
    int interrupt_fd;
    bool serving;
    GPtrArray *export_ids; /* of char *: those to be removed */
    GPtrArray *disks;
    GPtrArray *problems;
};

/* QEMU's disks as query-block has them: name is the counters', node what is exported. */
typedef struct {
    const char *name;
    const char *node;
} GuestDisk;

static bool interrupted(const LiveDisks *disks, GError **error)
{
    struct pollfd fd = {.fd = disks->interrupt_fd, .events = POLLIN};

    if (disks->interrupt_fd < 0 || poll(&fd, 1, 0) <= 0)
        return false;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot read the guest's disks: interrupted");
    return true;
}

/* Takes over arguments. Never interrupted: QEMU would do it, and we would not know. */
static bool call(LiveDisks *disks, const char *command, json_object *arguments, int64_t timeout_ms,
                 GError **error)
{
    qmp_set_interrupt_fd(disks->qmp, -1);
    json_object *reply = qmp_call(disks->qmp, command, arguments, timeout_ms, error);
    qmp_set_interrupt_fd(disks->qmp, disks->interrupt_fd);
    json_object_put(arguments);
    json_object_put(reply);
    return reply != NULL;
}

static json_object *object_of_strings(const char *const *members)
{
    json_object *object = json_object_new_object();

    for (; *members; members += 2)
        json_object_object_add(object, members[0], json_object_new_string(members[1]));
    return object;
}

static bool pass_listener(LiveDisks *disks, const PrivateSocket *socket, GError **error)
{
    qmp_set_interrupt_fd(disks->qmp, -1);
    bool passed = qmp_pass_fd(disks->qmp, SOCKET_NAME, private_socket_listener(socket),
                              disks->timeout_ms, error);
    qmp_set_interrupt_fd(disks->qmp, disks->interrupt_fd);
    if (!passed)
        g_prefix_error(error, "cannot give QEMU a socket to serve its disks on "
                              "(QMP must be QEMU's own unix socket): ");
    return passed;
}

static bool start_server(LiveDisks *disks, const PrivateSocket *socket, GError **error)
{
    if (!pass_listener(disks, socket, error))
        return false;
    json_object *address = object_of_strings((const char *const[]){"type", "fd", NULL});
    json_object_object_add(address, "data",
                           object_of_strings((const char *const[]){"str", SOCKET_NAME, NULL}));
    json_object *arguments = json_object_new_object();
    json_object_object_add(arguments, "addr", address);
    disks->serving = call(disks, "nbd-server-start", arguments, disks->timeout_ms, error);
    if (disks->serving)
        return true;
    if (error && *error && strstr((*error)->message, "already running"))
        g_prefix_error(error, "somebody else reads this QEMU's disks, or an earlier run was killed "
                              "(wait for that backup, or send QMP's nbd-server-stop): ");
    call(disks, "closefd", object_of_strings((const char *const[]){"fdname", SOCKET_NAME, NULL}),
         disks->timeout_ms, NULL);
    return false;
}

static bool add_export(LiveDisks *disks, const char *id, const char *node, GError **error)
{
    json_object *arguments = object_of_strings(
        (const char *const[]){"type", "nbd", "id", id, "node-name", node, "name", id, NULL});

    json_object_object_add(arguments, "writable", json_object_new_boolean(false));
    if (!call(disks, "block-export-add", arguments, disks->timeout_ms, error))
        return false;
    g_ptr_array_add(disks->export_ids, g_strdup(id));
    return true;
}

static bool read_export(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    return nbd_connection_read(data, offset, buffer, length, error);
}

static DiskBytes *connect_export(LiveDisks *disks, const PrivateSocket *socket, const char *id,
                                 GError **error)
{
    int fd = private_socket_connect(socket, error);

    if (fd < 0)
        return NULL;
    NbdConnection *connection =
        nbd_connection_open_socket(fd, id, disks->timeout_ms, disks->interrupt_fd, error);
    if (!connection)
        return NULL;
    return disk_bytes_new(nbd_connection_size(connection), read_export, connection,
                          (GDestroyNotify)nbd_connection_free);
}

static bool open_disk(LiveDisks *disks, const PrivateSocket *socket, const GuestDisk *disk,
                      GError **error)
{
    g_autofree char *id = g_strdup_printf("quiesce-probe-%u", disks->export_ids->len);

    if (!add_export(disks, id, disk->node, error))
        return false;
    g_autoptr(DiskBytes) bytes = connect_export(disks, socket, id, error);
    if (!bytes)
        return false;
    g_ptr_array_add(disks->disks, named_disk_new(disk->name, bytes));
    return true;
}

/* False when there is nothing to read, or to write: no medium, or a read-only one. */
static bool find_guest_disk(json_object *element, GuestDisk *disk)
{
    json_object *inserted = json_field_object(element, "inserted");
    bool read_only = true;

    json_field_boolean(inserted, "ro", &read_only);
    disk->name = block_counters_device_name(element);
    disk->node = json_field_string(inserted, "node-name");
    return disk->name && disk->node && !read_only;
}

/* False only when interrupted. */
static bool open_disks(LiveDisks *disks, const PrivateSocket *socket, json_object *query_block,
                       GError **error)
{
    for (size_t i = 0; i < json_field_length(query_block, COUNTER_WATCH_MAX_DEVICES); i++) {
        g_autoptr(GError) problem = NULL;
        GuestDisk disk;
        if (!find_guest_disk(json_object_array_get_idx(query_block, i), &disk))
            continue;
        if (!open_disk(disks, socket, &disk, &problem))
            g_ptr_array_add(disks->problems,
                            g_strdup_printf("%s cannot be read: %s", disk.name, problem->message));
        if (interrupted(disks, error))
            return false;
    }
    return true;
}

static bool require_disk(const LiveDisks *disks, GError **error)
{
    if (disks->disks->len > 0)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot read the guest's disks: %s",
                disks->problems->len > 0 ? (const char *)disks->problems->pdata[0]
                                         : "it has none that it can write to");
    return false;
}

LiveDisks *live_disks_open(Qmp *qmp, int64_t timeout_ms, int interrupt_fd, GError **error)
{
    json_object *query_block = qmp_call(qmp, "query-block", NULL, timeout_ms, error);

    if (!query_block)
        return NULL;
    g_autoptr(LiveDisks) disks = g_new0(LiveDisks, 1);
    disks->qmp = qmp;
    disks->timeout_ms = timeout_ms;
    disks->interrupt_fd = interrupt_fd;
    disks->export_ids = g_ptr_array_new_with_free_func(g_free);
    disks->disks = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);
    disks->problems = g_ptr_array_new_with_free_func(g_free);

    g_autoptr(PrivateSocket) socket = private_socket_new(error);
    bool opened = socket && start_server(disks, socket, error) &&
                  open_disks(disks, socket, query_block, error) && require_disk(disks, error);
    json_object_put(query_block);
    return opened ? g_steal_pointer(&disks) : NULL;
}

/* hard: whoever still holds a disk's bytes reads no more. */
static void remove_export(LiveDisks *disks, const char *id)
{
    call(disks, "block-export-del",
         object_of_strings((const char *const[]){"id", id, "mode", "hard", NULL}),
         REMOVE_TIMEOUT_MS, NULL);
}

void live_disks_free(LiveDisks *disks)
{
    g_ptr_array_unref(disks->disks);
    for (unsigned i = 0; i < disks->export_ids->len; i++)
        remove_export(disks, disks->export_ids->pdata[i]);
    if (disks->serving)
        call(disks, "nbd-server-stop", NULL, REMOVE_TIMEOUT_MS, NULL);
    g_ptr_array_unref(disks->export_ids);
    g_ptr_array_unref(disks->problems);
    g_free(disks);
}

const GPtrArray *live_disks_list(const LiveDisks *disks)
{
    return disks->disks;
}

const GPtrArray *live_disks_problems(const LiveDisks *disks)
{
    return disks->problems;
}
