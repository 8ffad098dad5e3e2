/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/*
 * Text from a peer as it may stand in an error message, a log line or on a terminal: its first
 * max_characters characters, "..." if there are more, what does not print as \uXXXX, what is not
 * UTF-8 as U+FFFD. text may hold NULs. Free with g_free().
 */
char *excerpt_new(const char *text, size_t length, size_t max_characters);

/* For names: of commands, arguments, enum values. */
#define EXCERPT_NAME_CHARACTERS 128
/* For sentences: a peer's own error text. */
#define EXCERPT_SENTENCE_CHARACTERS 1024
