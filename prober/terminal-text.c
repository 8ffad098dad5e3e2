/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/terminal-text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* Narrower than this, nothing that we print makes sense. */
#define MIN_WIDTH 40

unsigned terminal_text_width(FILE *stream)
{
    struct winsize size = {0};

    if (!isatty(fileno(stream)) || ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 ||
        size.ws_col == 0)
        return 0;
    return MAX(size.ws_col, MIN_WIDTH);
}

/* Begins a new line where the next so many characters would not fit. */
static void make_room(GString *wrapped, glong *at, glong length, unsigned width, unsigned indent)
{
    if (*at + length <= (glong)width || *at == (glong)indent)
        return;
    while (wrapped->len > 0 && wrapped->str[wrapped->len - 1] == ' ')
        g_string_truncate(wrapped, wrapped->len - 1);
    g_string_append_printf(wrapped, "\n%*s", (int)indent, "");
    *at = indent;
}

char *terminal_text_wrap(const char *text, unsigned width, unsigned indent)
{
    GString *wrapped = g_string_new(NULL);
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    glong at = indent;

    if (width == 0 || indent + 10 > width) {
        g_string_append(wrapped, text);
        return g_string_free(wrapped, FALSE);
    }
    for (char **word = words; *word; word++) {
        glong length = g_utf8_strlen(*word, -1);
        make_room(wrapped, &at, MIN(length, (glong)(width - indent)), width, indent);
        for (const char *character = *word; *character; character = g_utf8_next_char(character)) {
            make_room(wrapped, &at, 1, width, indent);
            g_string_append_len(wrapped, character, g_utf8_next_char(character) - character);
            at++;
        }
        if (word[1] && at < (glong)width) {
            g_string_append_c(wrapped, ' ');
            at++;
        }
    }
    return g_string_free(wrapped, FALSE);
}

char *terminal_text_shorten(const char *text, unsigned width)
{
    glong length = g_utf8_strlen(text, -1);
    glong kept = (glong)width - 3;

    if (length <= (glong)width)
        return g_strdup(text);
    g_autofree char *head = g_utf8_substring(text, 0, kept / 2);
    g_autofree char *tail = g_utf8_substring(text, length - (kept - kept / 2), length);
    return g_strconcat(head, "...", tail, NULL);
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
