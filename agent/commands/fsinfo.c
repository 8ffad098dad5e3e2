/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/disk-reply.h"

#include "platform/block-stack.h"
#include "platform/filesystem-list.h"
#include "platform/mount-table.h"

#include <sys/statvfs.h>

/* The members are optional: better none than those of the mount that covers this one, and better
 * none than to wait for a server that may never answer. */
static void write_sizes(JsonWriter *reply, const ListedFilesystem *filesystem)
{
    struct statvfs status;
    guint64 unit, used;

    if (filesystem->hidden || filesystem->may_hang ||
        statvfs(filesystem->mount->mount_point, &status) != 0)
        return;
    unit = status.f_frsize;
    used = (status.f_blocks - status.f_bfree) * unit;
    json_writer_unsigned(reply, "used-bytes", used);
    json_writer_unsigned(reply, "total-bytes", used + status.f_bavail * unit);
    json_writer_unsigned(reply, "total-bytes-privileged", status.f_blocks * unit);
}

static void write_filesystem(JsonWriter *reply, const ListedFilesystem *filesystem)
{
    json_writer_begin_object(reply, NULL);
    json_writer_string(reply, "name", filesystem->name);
    json_writer_string(reply, "mountpoint", filesystem->mount->mount_point);
    json_writer_string(reply, "type", filesystem->mount->fs_type);
    write_sizes(reply, filesystem);
    json_writer_begin_array(reply, "disk");
    for (guint i = 0; i < filesystem->disks->len; i++) {
        g_autoptr(DiskAddress) address =
            disk_address_read(g_array_index(filesystem->disks, dev_t, i));

        if (address)
            disk_reply_address(reply, NULL, address);
    }
    json_writer_end_array(reply);
    json_writer_end_object(reply);
}

static bool get_fsinfo(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    g_autoptr(MountTable) mounts = mount_table_read(false, error);
    g_autoptr(BlockStack) stack = mounts ? block_stack_read(mounts, error) : NULL;
    g_autoptr(GPtrArray) filesystems = NULL;

    if (!stack)
        return false;
    filesystems = filesystem_list_build(mounts, stack);
    json_writer_begin_array(reply, "return");
    for (guint i = 0; i < filesystems->len; i++)
        write_filesystem(reply, g_ptr_array_index(filesystems, i));
    json_writer_end_array(reply);
    return true;
}

const Command fsinfo_commands[] = {
    {.name = "guest-get-fsinfo", .run = get_fsinfo},
    {.name = NULL},
};
