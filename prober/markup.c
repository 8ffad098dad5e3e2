/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/markup.h"
#include "prober/terminal-text.h"

#define ELLIPSIS "\342\200\246"

void markup_append_short(GString *page, const char *text, unsigned max_chars)
{
    g_autofree char *visible = terminal_text_escape(text);
    glong length = g_utf8_strlen(visible, -1);
    g_autofree char *shown = NULL;

    if (length > (glong)max_chars) {
        glong kept = (glong)max_chars - 1;
        g_autofree char *head = g_utf8_substring(visible, 0, kept - kept / 2);
        g_autofree char *tail = g_utf8_substring(visible, length - kept / 2, length);
        shown = g_strconcat(head, ELLIPSIS, tail, NULL);
    }
    g_autofree char *escaped = g_markup_escape_text(shown ? shown : visible, -1);
    g_string_append(page, escaped);
}

void markup_append(GString *page, const char *text)
{
    markup_append_short(page, text, MARKUP_MAX_CHARS);
}
