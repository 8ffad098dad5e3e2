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

/* Says below the table that there are so many rows more; 0: nothing. */
void text_table_leave_out(TextTable *table, unsigned rows);
unsigned text_table_left_out(const TextTable *table);

/* What is in it, for another form of output; all of it is borrowed. */
unsigned text_table_columns(const TextTable *table);
const char *text_table_heading(const TextTable *table, unsigned column);
bool text_table_is_right_aligned(const TextTable *table, unsigned column);
bool text_table_is_empty(const TextTable *table, unsigned column);
const char *text_table_text(const TextTable *table, unsigned row, unsigned column);
TerminalTone text_table_tone(const TextTable *table, unsigned row, unsigned column);

/* On a terminal that is too narrow, long cells lose their middle and the last column goes on below;
 * elsewhere every row is one whole line. */
void text_table_print(const TextTable *table, FILE *stream, bool colour);
