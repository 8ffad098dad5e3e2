/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk-history.h"
#include "prober/inspect.h"
#include "protocol/json-writer.h"

#include <stdbool.h>

/* What disks say, for people and for programs. */
void render_table_inspect(const InspectReport *report, bool colour);
void render_json_inspect(JsonWriter *writer, const InspectReport *report);

/* The part of verify: the filesystems on the disks before the freeze and in the hold. */
void render_table_disk_history(const DiskHistory *history, bool colour);
/* The member "disk-filesystems". */
void render_json_disk_history(JsonWriter *writer, const DiskHistory *history);
