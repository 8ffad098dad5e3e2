/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/excerpt.h"

#include <glib.h>

/* The character at text, which is at least one byte, and how many bytes it takes. */
static gunichar decode(const char *text, size_t length, size_t *bytes)
{
    gunichar character = *text == '\0' ? 0 : g_utf8_get_char_validated(text, (gssize)length);

    if (character == (gunichar)-1 || character == (gunichar)-2) {
        *bytes = 1;
        return 0xFFFD;
    }
    *bytes = (size_t)g_unichar_to_utf8(character, NULL);
    return character;
}

char *excerpt_new(const char *text, size_t length, size_t max_characters)
{
    GString *excerpt = g_string_new(NULL);

    for (size_t at = 0, bytes = 0, count = 0; at < length; at += bytes, count++) {
        if (count == max_characters) {
            g_string_append(excerpt, "...");
            break;
        }
        gunichar character = decode(text + at, length - at, &bytes);
        if (g_unichar_isprint(character))
            g_string_append_unichar(excerpt, character);
        else
            g_string_append_printf(excerpt, "\\u%04x", character);
    }
    return g_string_free(excerpt, FALSE);
}
