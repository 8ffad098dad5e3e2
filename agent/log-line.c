/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/log-line.h"

#include <string.h>
#include <time.h>

static void append_stamp(GString *line, int64_t realtime_us)
{
    time_t seconds = realtime_us / G_USEC_PER_SEC;
    struct tm utc;
    char stamp[32];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    g_string_append_printf(line, "%s.%06dZ", stamp, (int)(realtime_us % G_USEC_PER_SEC));
}

static bool is_harmless(gunichar character)
{
    return character == ' ' || (g_unichar_isprint(character) && !g_unichar_isspace(character));
}

static void append_escaped(GString *line, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n')
            g_string_append(line, "\\n");
        else if (bytes[i] == '\t')
            g_string_append(line, "\\t");
        else
            g_string_append_printf(line, "\\x%02x", (unsigned char)bytes[i]);
    }
}

static void append_text(GString *line, const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        gunichar character = g_utf8_get_char_validated(text, end - text);
        bool is_valid = character != (gunichar)-1 && character != (gunichar)-2;
        size_t width = is_valid ? (size_t)(g_utf8_next_char(text) - text) : 1;
        if (is_valid && is_harmless(character))
            g_string_append_len(line, text, (gssize)width);
        else
            append_escaped(line, text, width);
        text += width;
    }
}

LogLine *log_line_new(int64_t realtime_us, LogLevel level, const char *topic, const char *text)
{
    size_t length = strlen(text);
    size_t kept = MIN(length, LOG_LINE_TEXT_BYTES);
    GString *string = g_string_sized_new(kept + 64);
    append_stamp(string, realtime_us);
    g_string_append_printf(string, " %s %s: ", log_level_name(level), topic);
    append_text(string, text, kept);
    if (kept < length)
        g_string_append_printf(string, "... (%zu more bytes)", length - kept);
    g_string_append_c(string, '\n');

    LogLine *line = g_malloc(sizeof *line + string->len + 1);
    line->realtime_us = realtime_us;
    line->level = level;
    line->length = string->len;
    memcpy(line->text, string->str, string->len + 1);
    g_string_free(string, TRUE);
    return line;
}
