/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/disk-address.h"
#include "protocol/json-writer.h"

/* Writes a GuestDiskAddress of the interface; name as for json_writer_begin_object(). */
void disk_reply_address(JsonWriter *reply, const char *name, const DiskAddress *address);
