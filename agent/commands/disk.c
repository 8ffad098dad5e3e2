/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/disk-reply.h"
#include "platform/disk-list.h"
#include "platform/nvme-smart.h"

/* The disks of the guest, what they lie on, and what they do. */

static void write_smart(JsonWriter *reply, const NvmeSmart *smart)
{
    static const char *const names[NVME_COUNTERS] = {
        [NVME_DATA_UNITS_READ] = "data-units-read",
        [NVME_DATA_UNITS_WRITTEN] = "data-units-written",
        [NVME_HOST_READ_COMMANDS] = "host-read-commands",
        [NVME_HOST_WRITE_COMMANDS] = "host-write-commands",
        [NVME_CONTROLLER_BUSY_TIME] = "controller-busy-time",
        [NVME_POWER_CYCLES] = "power-cycles",
        [NVME_POWER_ON_HOURS] = "power-on-hours",
        [NVME_UNSAFE_SHUTDOWNS] = "unsafe-shutdowns",
        [NVME_MEDIA_ERRORS] = "media-errors",
        [NVME_ERROR_LOG_ENTRIES] = "number-of-error-log-entries",
    };

    json_writer_begin_object(reply, "smart");
    json_writer_string(reply, "type", "nvme");
    json_writer_unsigned(reply, "critical-warning", smart->critical_warning);
    json_writer_unsigned(reply, "temperature", smart->temperature_kelvin);
    json_writer_unsigned(reply, "available-spare", smart->available_spare);
    json_writer_unsigned(reply, "available-spare-threshold", smart->available_spare_threshold);
    json_writer_unsigned(reply, "percentage-used", smart->percentage_used);
    for (unsigned i = 0; i < NVME_COUNTERS; i++) {
        g_autofree char *low = g_strconcat(names[i], "-lo", NULL);
        g_autofree char *high = g_strconcat(names[i], "-hi", NULL);
        json_writer_unsigned(reply, low, smart->counters[i].low);
        json_writer_unsigned(reply, high, smart->counters[i].high);
    }
    json_writer_end_object(reply);
}

static void write_place(JsonWriter *reply, const ListedDisk *disk)
{
    g_autoptr(DiskAddress) address = disk->partition ? NULL : disk_address_read(disk->device);
    NvmeSmart smart;

    if (!address)
        return;
    disk_reply_address(reply, "address", address);
    if (g_str_equal(address->bus_type, "nvme") && nvme_smart_read(disk->node, &smart))
        write_smart(reply, &smart);
}

static void write_disk(JsonWriter *reply, const ListedDisk *disk)
{
    json_writer_begin_object(reply, NULL);
    json_writer_string(reply, "name", disk->node);
    json_writer_boolean(reply, "partition", disk->partition);
    json_writer_begin_array(reply, "dependencies");
    for (char **node = disk->dependencies; *node; node++)
        json_writer_string(reply, NULL, *node);
    json_writer_end_array(reply);
    json_writer_optional_string(reply, "alias", disk->alias);
    write_place(reply, disk);
    json_writer_end_object(reply);
}

static bool run_get_disks(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    g_autoptr(GPtrArray) disks = disk_list_read(error);

    if (!disks)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < disks->len; i++)
        write_disk(reply, g_ptr_array_index(disks, i));
    json_writer_end_array(reply);
    return true;
}

/* In the order of /proc/diskstats. */
static const char *const columns[DISK_COLUMNS_FLUSH] = {
    "read-ios",     "read-merges",   "read-sectors",   "read-ticks",      "write-ios",
    "write-merges", "write-sectors", "write-ticks",    "ios-pgr",         "total-ticks",
    "weight-ticks", "discard-ios",   "discard-merges", "discard-sectors", "discard-ticks",
    "flush-ios",    "flush-ticks",
};

static bool run_get_diskstats(Agent *agent, const void *arguments, JsonWriter *reply,
                              GError **error)
{
    g_autoptr(GArray) all = disk_statistics_read(error);

    if (!all)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < all->len; i++) {
        const DiskStatistics *statistics = &g_array_index(all, DiskStatistics, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "name", statistics->name);
        json_writer_unsigned(reply, "major", statistics->major);
        json_writer_unsigned(reply, "minor", statistics->minor);
        json_writer_begin_object(reply, "stats");
        for (unsigned column = 0; column < statistics->n_columns; column++)
            json_writer_unsigned(reply, columns[column], statistics->columns[column]);
        json_writer_end_object(reply);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

const Command disk_commands[] = {
    {.name = "guest-get-disks", .run = run_get_disks},
    {.name = "guest-get-diskstats", .run = run_get_diskstats, .flags = COMMAND_WHILE_FROZEN},
    {.name = NULL},
};
