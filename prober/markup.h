/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Foreign text inside HTML and SVG. Guests choose mount points and error messages, and the page is
 * opened in a browser: whatever is not a constant of this program goes through here.
 */

/* At most this many characters of one text stand in a page. */
#define MARKUP_MAX_CHARS 300

/* Appends the text so that it stands for itself, as content and inside a quoted attribute. What is
 * invisible or no UTF-8 becomes \xHH, as on a terminal; what is too long loses its middle. NULL is
 * "". */
void markup_append(GString *page, const char *text);
/* The same, of at most max_chars characters (5 or more). */
void markup_append_short(GString *page, const char *text, unsigned max_chars);
