/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The machine's battery-backed clock, through its device: rtc(4). It counts whole seconds, in UTC
 * or in local time, which the third line of /etc/adjtime tells: adjtime_config(5).
 * Times are seconds since the epoch.
 */

/* G_FILE_ERROR_NOENT when the machine has none; G_FILE_ERROR_AGAIN while another process has it
 * open, for the device is exclusive. */
bool real_time_clock_read(int64_t *unix_seconds, GError **error);
bool real_time_clock_write(int64_t unix_seconds, GError **error);

/* What an adjtime file says; UTC where it is missing or says nothing. */
bool real_time_clock_keeps_local_time(const char *adjtime_path);
