/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/log.h"

#include <stddef.h>
#include <stdint.h>

/* One line of the log as every sink writes it: "2026-11-21T01:19:07.123456Z info freeze: text\n".
 */
typedef struct {
    int64_t realtime_us;
    LogLevel level;
    size_t length;
    char text[]; /* with its newline, NUL-terminated */
} LogLine;

/* What a line keeps of a longer text; the rest gives way to its length. */
#define LOG_LINE_TEXT_BYTES (12u * 1024)

/*
 * text is any bytes: everything but printable UTF-8 is escaped (\n, \t, \xNN), so that nobody whose
 * words are logged can forge a line or steer a terminal. Free with g_free().
 */
LogLine *log_line_new(int64_t realtime_us, LogLevel level, const char *topic, const char *text);
