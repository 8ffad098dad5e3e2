/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/terminal-text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_harmless(gunichar character)
{
    return g_unichar_isprint(character) && g_unichar_type(character) != G_UNICODE_FORMAT &&
           g_unichar_type(character) != G_UNICODE_LINE_SEPARATOR &&
           g_unichar_type(character) != G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *terminal_text_escape(const char *text)
{
    GString *escaped = g_string_new(NULL);
    const char *at = text ? text : "";

    for (unsigned shown = 0; *at != '\0'; shown++) {
        if (shown == TERMINAL_TEXT_MAX_CHARS) {
            g_string_append(escaped, "...");
            break;
        }
        gunichar character = g_utf8_get_char_validated(at, -1);
        bool invalid = character == (gunichar)-1 || character == (gunichar)-2;
        const char *next = invalid ? at + 1 : g_utf8_next_char(at);
        if (!invalid && is_harmless(character)) {
            g_string_append_len(escaped, at, next - at);
        } else {
            for (const char *byte = at; byte < next; byte++)
                g_string_append_printf(escaped, "\\x%02x", (unsigned)(unsigned char)*byte);
        }
        at = next;
    }
    return g_string_free(escaped, FALSE);
}

bool terminal_text_wants_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_color && *no_color != '\0')
        return false;
    if (!term || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(stream));
}

const char *terminal_text_begin(TerminalTone tone, bool colour)
{
    static const char *const sequences[] = {
        [TERMINAL_PLAIN] = "",
        [TERMINAL_GOOD] = "\033[1;32m",
        [TERMINAL_BAD] = "\033[1;31m",
        [TERMINAL_DOUBT] = "\033[1;33m",
    };

    return colour ? sequences[tone] : "";
}

const char *terminal_text_end(TerminalTone tone, bool colour)
{
    return colour && tone != TERMINAL_PLAIN ? "\033[0m" : "";
}
