/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/snapshot.h"
#include "prober/target.h"

#include <stdbool.h>

/* What became of a snapshot, on standard output: for people and for programs. */
void render_snapshot_table(const SnapshotReport *report, const char *guest_name, bool colour);
void render_snapshot_json(const SnapshotReport *report, const Target *target);
