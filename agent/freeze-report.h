/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-window.h"
#include "protocol/json-writer.h"

/*
 * A freeze window as JSON: for the replies of quiesce-freeze, -thaw and -status, and for the
 * history. Members and units: docs/extension-protocol.md. Each writes one object called name.
 */
void freeze_report_write_freeze(JsonWriter *writer, const char *name, const FreezeWindow *window);

/* window may be NULL: nothing was frozen. */
void freeze_report_write_thaw(JsonWriter *writer, const char *name, const FreezeWindow *window);

/* One line of the history: the whole window, once it is over. error: why the freeze failed; NULL
 * when it did not. */
void freeze_report_write_record(JsonWriter *writer, const char *name, const FreezeWindow *window,
                                const GError *error);

/* The filesystems that are frozen or may become so, as an array. */
void freeze_report_write_current(JsonWriter *writer, const char *name, const FreezeWindow *window,
                                 bool thawed);

/* A moment of the board as CLOCK_REALTIME microseconds; nothing when it never came. */
void freeze_report_write_moment(JsonWriter *writer, const char *name, const FreezeWindow *window,
                                int64_t moment);
/* A duration in milliseconds; nothing when it is negative. */
void freeze_report_write_duration(JsonWriter *writer, const char *name, int64_t us);
