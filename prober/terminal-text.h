/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * Text for a person's screen. What a guest sends is printed only through terminal_text_escape(): it
 * could hold escape sequences that repaint the verdict.
 */

/* At most this many characters of one foreign text are shown. */
#define TERMINAL_TEXT_MAX_CHARS 1000

/* The text with control characters, bytes that are not UTF-8, and characters that are invisible or
 * turn the direction of writing as \xHH; longer text ends in "...". NULL gives "". Free with
 * g_free(). */
char *terminal_text_escape(const char *text);

/* How many columns the stream's terminal has; 0 where it is none: programs and files get whole
 * lines. */
unsigned terminal_text_width(FILE *stream);

/* The text, visible characters only, with its words on lines of at most width characters, the
 * second and later ones indented. A word that fits on no line is broken. width 0: one line. Free
 * with g_free(). */
char *terminal_text_wrap(const char *text, unsigned width, unsigned indent);
/* The text in at most width (5 or more) characters, with "..." for what is left out of its middle.
 * Free with g_free(). */
char *terminal_text_shorten(const char *text, unsigned width);

typedef enum { TERMINAL_PLAIN, TERMINAL_GOOD, TERMINAL_BAD, TERMINAL_DOUBT } TerminalTone;

/* Whether colours belong on this stream: it is a terminal that knows them and the user has not set
 * NO_COLOR (https://no-color.org). */
bool terminal_text_wants_colour(FILE *stream);

/* The escape sequences that begin and end a tone; "" without colour. */
const char *terminal_text_begin(TerminalTone tone, bool colour);
const char *terminal_text_end(TerminalTone tone, bool colour);
