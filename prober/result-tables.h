/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-watch.h"
#include "prober/disk-history.h"
#include "prober/guest-window.h"
#include "prober/text-table.h"
#include "prober/verdict.h"

#include <glib.h>

/*
 * The tables that people are shown, on a terminal (prober/render-table.h) and on a page
 * (prober/report-page.h) alike. Each is new, may have no rows, and is bounded: what is left out of
 * it is counted (text_table_left_out()).
 */
#define RESULT_TABLE_MAX_ROWS 64

TextTable *result_table_filesystems(const GuestWindow *window);
/* What was left out of the freeze. Nobody misses /proc: what has no device is not told. */
TextTable *result_table_skips(const GuestWindow *window);
TextTable *result_table_not_covered(const GuestWindow *window);
TextTable *result_table_hooks(const GuestWindow *window);
TextTable *result_table_devices(const CounterWatch *watch);
/* What the filesystems' own metadata said, before the freeze and in the hold. */
TextTable *result_table_disks(const DiskHistory *history);
TextTable *result_table_canaries(const GPtrArray *records); /* of CanaryRecord */
TextTable *result_table_evidence(const GPtrArray *pieces);  /* of Evidence */

/* How a verdict looks. */
TerminalTone result_table_tone(Verdict verdict);
