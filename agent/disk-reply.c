/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/disk-reply.h"

static void write_pci(JsonWriter *reply, const PciAddress *pci)
{
    json_writer_begin_object(reply, "pci-controller");
    json_writer_integer(reply, "domain", pci->domain);
    json_writer_integer(reply, "bus", pci->bus);
    json_writer_integer(reply, "slot", pci->slot);
    json_writer_integer(reply, "function", pci->function);
    json_writer_end_object(reply);
}

static void write_ccw(JsonWriter *reply, const CcwAddress *ccw)
{
    json_writer_begin_object(reply, "ccw-address");
    json_writer_unsigned(reply, "cssid", ccw->cssid);
    json_writer_unsigned(reply, "ssid", ccw->ssid);
    json_writer_unsigned(reply, "subchno", ccw->subchno);
    json_writer_unsigned(reply, "devno", ccw->devno);
    json_writer_end_object(reply);
}

void disk_reply_address(JsonWriter *reply, const char *name, const DiskAddress *address)
{
    json_writer_begin_object(reply, name);
    write_pci(reply, &address->pci);
    json_writer_string(reply, "bus-type", address->bus_type);
    json_writer_integer(reply, "bus", address->bus);
    json_writer_integer(reply, "target", address->target);
    json_writer_integer(reply, "unit", address->unit);
    json_writer_optional_string(reply, "serial", address->serial);
    json_writer_optional_string(reply, "dev", address->node);
    if (address->has_ccw)
        write_ccw(reply, &address->ccw);
    json_writer_end_object(reply);
}
