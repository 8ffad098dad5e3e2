/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/text-table.h"

#include <stdarg.h>
#include <string.h>

typedef struct {
    char *text;
    TerminalTone tone;
} Cell;

struct TextTable {
    char **headings;
    unsigned columns;
    GArray *cells; /* of Cell */
};

static void cell_clear(gpointer cell)
{
    g_free(((Cell *)cell)->text);
}

TextTable *text_table_new(const char *const *headings)
{
    TextTable *table = g_new0(TextTable, 1);

    table->headings = g_strdupv((char **)headings);
    table->columns = g_strv_length(table->headings);
    table->cells = g_array_new(FALSE, FALSE, sizeof(Cell));
    g_array_set_clear_func(table->cells, cell_clear);
    return table;
}

void text_table_free(TextTable *table)
{
    g_strfreev(table->headings);
    g_array_unref(table->cells);
    g_free(table);
}

void text_table_cell_tone(TextTable *table, TerminalTone tone, const char *text)
{
    Cell cell = {.text = terminal_text_escape(text), .tone = tone};

    g_array_append_val(table->cells, cell);
}

void text_table_cell(TextTable *table, const char *text)
{
    text_table_cell_tone(table, TERMINAL_PLAIN, text);
}

void text_table_cell_format(TextTable *table, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    text_table_cell(table, text);
}

void text_table_cell_duration(TextTable *table, double duration_ms)
{
    if (duration_ms < 0)
        text_table_cell(table, "");
    else if (duration_ms < 1000)
        text_table_cell_format(table, "%.1f ms", duration_ms);
    else
        text_table_cell_format(table, "%.2f s", duration_ms / 1000);
}

unsigned text_table_rows(const TextTable *table)
{
    return table->cells->len / table->columns;
}

static bool is_right_aligned(const TextTable *table, unsigned column)
{
    return table->headings[column][0] == '>';
}

static const char *heading(const TextTable *table, unsigned column)
{
    return table->headings[column] + (is_right_aligned(table, column) ? 1 : 0);
}

static const Cell *cell_at(const TextTable *table, unsigned row, unsigned column)
{
    return &g_array_index(table->cells, Cell, row * table->columns + column);
}

static glong column_width(const TextTable *table, unsigned column)
{
    glong width = g_utf8_strlen(heading(table, column), -1);

    for (unsigned row = 0; row < text_table_rows(table); row++)
        width = MAX(width, g_utf8_strlen(cell_at(table, row, column)->text, -1));
    return width;
}

static bool is_empty(const TextTable *table, unsigned column)
{
    for (unsigned row = 0; row < text_table_rows(table); row++) {
        if (*cell_at(table, row, column)->text != '\0')
            return false;
    }
    return true;
}

static void append_padded(GString *line, const TextTable *table, unsigned column, const char *text,
                          TerminalTone tone, bool colour)
{
    if (is_empty(table, column))
        return;
    int padding = (int)(column_width(table, column) - g_utf8_strlen(text, -1));
    bool right = is_right_aligned(table, column);

    if (line->len > 0)
        g_string_append(line, "  ");
    if (right)
        g_string_append_printf(line, "%*s", padding, "");
    g_string_append_printf(line, "%s%s%s", terminal_text_begin(tone, colour), text,
                           terminal_text_end(tone, colour));
    if (!right && column + 1 < table->columns)
        g_string_append_printf(line, "%*s", padding, "");
}

static void print_line(GString *line, FILE *stream)
{
    g_strchomp(line->str);
    fprintf(stream, "%s\n", line->str);
    g_string_truncate(line, 0);
}

void text_table_print(const TextTable *table, FILE *stream, bool colour)
{
    g_autoptr(GString) line = g_string_new(NULL);
    bool headed = false;

    for (unsigned column = 0; column < table->columns; column++) {
        headed = headed || *heading(table, column) != '\0';
        append_padded(line, table, column, heading(table, column), TERMINAL_PLAIN, colour);
    }
    if (headed)
        print_line(line, stream);
    g_string_truncate(line, 0);

    for (unsigned row = 0; row < text_table_rows(table); row++) {
        for (unsigned column = 0; column < table->columns; column++) {
            const Cell *cell = cell_at(table, row, column);
            append_padded(line, table, column, cell->text, cell->tone, colour);
        }
        print_line(line, stream);
    }
}
