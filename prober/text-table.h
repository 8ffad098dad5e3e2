/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/terminal-text.h"

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * A table in plain text: columns as wide as their widest cell, two spaces apart. Every cell is
 * escaped on its way in, so callers pass what they got. A column without any text in it is left
 * out.
 */
typedef struct TextTable TextTable;

/* headings: one per column, ended by NULL. A heading that begins with '>' makes its column
 * right-aligned. With all headings empty no heading line is printed. */
TextTable *text_table_new(const char *const *headings);
void text_table_free(TextTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TextTable, text_table_free)

/* Cells fill the columns from the left, row after row. */
void text_table_cell(TextTable *table, const char *text);
void text_table_cell_tone(TextTable *table, TerminalTone tone, const char *text);
void text_table_cell_format(TextTable *table, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* "12.3 ms" or "4.56 s"; "" when it is negative, which means that it was not told. */
void text_table_cell_duration(TextTable *table, double duration_ms);

/* Complete rows so far. */
unsigned text_table_rows(const TextTable *table);

void text_table_print(const TextTable *table, FILE *stream, bool colour);
