/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/disk-address.h"

#include "platform/udev-types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The disk's ancestors in sysfs, nearest first; the first that is listed tells the bus. */
static const struct {
    const char *subsystem;
    const char *bus_type;
} buses[] = {
    {"virtio", "virtio"}, {"nvme", "nvme"}, {"nvme-subsystem", "nvme"},
    {"xen", "xen"},       {"mmc", "mmc"},
};

/* How a SCSI disk is attached, by a part of its path in sysfs (drivers/scsi/scsi_transport_*.c,
 * drivers/ata/libata-transport.c, drivers/firewire). */
static const struct {
    const char *path_part;
    const char *bus_type;
} scsi_transports[] = {
    {"/usb", "usb"},         {"/rport-", "fibre"}, {"/session", "iscsi"},
    {"/end_device-", "sas"}, {"/fw", "ieee1394"},
};

void disk_address_free(DiskAddress *address)
{
    if (!address)
        return;
    g_free(address->serial);
    g_free(address->node);
    g_free(address);
}

static bool is_virtual(UdevDevice *device)
{
    /* Namespaces of NVMe controllers with several paths hang below a virtual device. */
    return strstr(udev_device_get_syspath(device), "/devices/virtual/") &&
           !udev_device_get_parent_with_subsystem_devtype(device, "nvme-subsystem", NULL);
}

static void read_pci(DiskAddress *address, UdevDevice *pci)
{
    unsigned domain, bus, slot, function;

    address->pci = (PciAddress){-1, -1, -1, -1};
    if (pci &&
        sscanf(udev_device_get_sysname(pci), "%x:%x:%x.%x", &domain, &bus, &slot, &function) == 4)
        address->pci = (PciAddress){(int)domain, (int)bus, (int)slot, (int)function};
}

static void read_ccw(DiskAddress *address, UdevDevice *device)
{
    UdevDevice *ccw = udev_device_get_parent_with_subsystem_devtype(device, "ccw", NULL);
    UdevDevice *css = udev_device_get_parent_with_subsystem_devtype(device, "css", NULL);
    CcwAddress *to = &address->ccw;

    address->has_ccw =
        ccw && css &&
        sscanf(udev_device_get_sysname(ccw), "%x.%x.%x", &to->cssid, &to->ssid, &to->devno) == 3 &&
        sscanf(udev_device_get_sysname(css), "%*x.%*x.%x", &to->subchno) == 1;
}

/* Which of its controller's SCSI hosts this one is: libata has one per port or channel. */
static int host_index(UdevDevice *controller, UdevDevice *host)
{
    g_autoptr(UdevEnumerate) enumerate = udev_enumerate_new(udev_device_get_udev(controller));
    struct udev_list_entry *entry;
    unsigned long own = strtoul(udev_device_get_sysnum(host), NULL, 10);
    int index = 0;

    udev_enumerate_add_match_subsystem(enumerate, "scsi_host");
    udev_enumerate_add_match_parent(enumerate, controller);
    udev_enumerate_scan_devices(enumerate);
    udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(enumerate))
    {
        g_autoptr(UdevDevice) other = udev_device_new_from_syspath(udev_device_get_udev(controller),
                                                                   udev_list_entry_get_name(entry));
        const char *number = other ? udev_device_get_sysnum(other) : NULL;

        if (number && strtoul(number, NULL, 10) < own)
            index++;
    }
    return index;
}

static void read_ata(DiskAddress *address, UdevDevice *scsi, UdevDevice *controller, int target)
{
    UdevDevice *host = udev_device_get_parent_with_subsystem_devtype(scsi, "scsi", "scsi_host");
    const char *driver = controller ? udev_device_get_driver(controller) : NULL;
    int index = host && controller ? host_index(controller, host) : 0;

    if (driver && (g_str_equal(driver, "ahci") || g_str_has_prefix(driver, "sata_"))) {
        address->bus_type = "sata";
        address->unit = index;
    } else {
        address->bus_type = "ide";
        address->bus = index;
        address->unit = target;
    }
}

static void read_scsi(DiskAddress *address, UdevDevice *scsi, UdevDevice *controller)
{
    const char *path = udev_device_get_syspath(scsi);
    const char *driver = controller ? udev_device_get_driver(controller) : NULL;
    int channel = 0, target = 0, lun = 0;

    address->bus_type = "scsi";
    if (sscanf(udev_device_get_sysname(scsi), "%*d:%d:%d:%d", &channel, &target, &lun) != 3)
        return;
    if (strstr(path, "/ata")) {
        read_ata(address, scsi, controller, target);
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(scsi_transports); i++)
        if (strstr(path, scsi_transports[i].path_part))
            address->bus_type = scsi_transports[i].bus_type;
    if (g_strcmp0(driver, "sym53c8xx") == 0) {
        address->unit = target;
        return;
    }
    address->bus = channel;
    address->target = target;
    address->unit = lun;
}

static const char *bus_of(const char *subsystem)
{
    for (size_t i = 0; subsystem && i < G_N_ELEMENTS(buses); i++)
        if (g_str_equal(subsystem, buses[i].subsystem))
            return buses[i].bus_type;
    return NULL;
}

static void read_place(DiskAddress *address, UdevDevice *device)
{
    UdevDevice *controller = udev_device_get_parent_with_subsystem_devtype(device, "pci", NULL);
    UdevDevice *scsi = udev_device_get_parent_with_subsystem_devtype(device, "scsi", "scsi_device");

    read_pci(address, controller);
    read_ccw(address, device);
    address->bus_type = "unknown";
    if (scsi) {
        read_scsi(address, scsi, controller);
        return;
    }
    for (UdevDevice *at = device; at; at = udev_device_get_parent(at)) {
        const char *bus_type = bus_of(udev_device_get_subsystem(at));

        if (!bus_type)
            continue;
        address->bus_type = bus_type;
        /* SD cards and soldered MMC share a bus. */
        if (g_str_equal(bus_type, "mmc") &&
            g_strcmp0(udev_device_get_sysattr_value(at, "type"), "SD") == 0)
            address->bus_type = "sd";
        return;
    }
}

DiskAddress *disk_address_read(dev_t number)
{
    g_autoptr(Udev) udev = udev_new();
    g_autoptr(UdevDevice) device = udev ? udev_device_new_from_devnum(udev, 'b', number) : NULL;
    DiskAddress *address;

    if (!device || is_virtual(device))
        return NULL;
    address = g_new0(DiskAddress, 1);
    read_place(address, device);
    address->serial = g_strdup(udev_device_get_property_value(device, "ID_SERIAL"));
    address->node = g_strdup(udev_device_get_devnode(device));
    return address;
}
