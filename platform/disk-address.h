/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Where a disk sits, in the terms of its host: the address of its controller and its place on the
 * controller's bus, so that libvirt finds the disk of the domain that it is. Read from sysfs
 * through libudev; the disk itself is not asked.
 */
typedef struct {
    int domain, bus, slot, function; /* all -1: no PCI device, or not known */
} PciAddress;

/* s390 channel subsystem (sysfs: /sys/devices/css0/0.0.0001/0.0.00af). */
typedef struct {
    unsigned cssid, ssid, subchno, devno;
} CcwAddress;

typedef struct {
    PciAddress pci;
    bool has_ccw;
    CcwAddress ccw;
    const char *bus_type; /* a value of GuestDiskBusType: "virtio", "scsi", "sata", ... */
    int bus, target, unit;
    char *serial; /* as udev's ID_SERIAL; NULL when the udev database has none */
    char *node;   /* "/dev/vda"; of a partition its own: "/dev/vda1" */
} DiskAddress;

/*
 * The address of a disk, or of the disk that a partition is on; NULL when the device is gone or
 * virtual (loop, dm, md, zram: what lies below them has an address).
 *
 * bus, target, unit mean what libvirt and QEMU mean with them: for IDE the channel, 0 and master or
 * slave; for SATA 0, 0 and the port; for LSI SCSI (sym53c8xx) 0, 0 and the target id; for all other
 * SCSI channel, target id and LUN; otherwise 0.
 */
DiskAddress *disk_address_read(dev_t device);
void disk_address_free(DiskAddress *address);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskAddress, disk_address_free)
