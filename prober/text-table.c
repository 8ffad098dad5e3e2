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
    unsigned left_out;
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

bool text_table_is_right_aligned(const TextTable *table, unsigned column)
{
    return table->headings[column][0] == '>';
}

const char *text_table_heading(const TextTable *table, unsigned column)
{
    return table->headings[column] + (text_table_is_right_aligned(table, column) ? 1 : 0);
}

static const Cell *cell_at(const TextTable *table, unsigned row, unsigned column)
{
    return &g_array_index(table->cells, Cell, row * table->columns + column);
}

unsigned text_table_columns(const TextTable *table)
{
    return table->columns;
}

const char *text_table_text(const TextTable *table, unsigned row, unsigned column)
{
    return cell_at(table, row, column)->text;
}

TerminalTone text_table_tone(const TextTable *table, unsigned row, unsigned column)
{
    return cell_at(table, row, column)->tone;
}

void text_table_leave_out(TextTable *table, unsigned rows)
{
    table->left_out = rows;
}

unsigned text_table_left_out(const TextTable *table)
{
    return table->left_out;
}

static glong column_width(const TextTable *table, unsigned column)
{
    glong width = g_utf8_strlen(text_table_heading(table, column), -1);

    for (unsigned row = 0; row < text_table_rows(table); row++)
        width = MAX(width, g_utf8_strlen(cell_at(table, row, column)->text, -1));
    return width;
}

bool text_table_is_empty(const TextTable *table, unsigned column)
{
    for (unsigned row = 0; row < text_table_rows(table); row++) {
        if (*cell_at(table, row, column)->text != '\0')
            return false;
    }
    return true;
}

/* ---- on a screen ---- */

#define SEPARATOR 2    /* spaces between columns */
#define MIN_COLUMN 12  /* no column is made narrower than this */
#define MIN_WRAPPED 24 /* nor the last one, whose text goes on below */

typedef struct {
    const TextTable *table;
    unsigned *widths; /* of each column; 0: it is left out */
    unsigned last;    /* the last one that is not */
    unsigned indent;  /* where that begins */
    unsigned screen;  /* 0: no limit */
    bool colour;
} Layout;

static unsigned total_width(const Layout *layout)
{
    unsigned total = 0;

    for (unsigned column = 0; column < layout->table->columns; column++) {
        if (layout->widths[column] > 0)
            total += layout->widths[column] + (column == layout->last ? 0 : SEPARATOR);
    }
    return total;
}

static unsigned least_width(const Layout *layout, unsigned column)
{
    unsigned heading = (unsigned)g_utf8_strlen(text_table_heading(layout->table, column), -1);

    return MAX(heading, column == layout->last ? MIN_WRAPPED : MIN_COLUMN);
}

/* The column that can best do with a character less; false when none can. Numbers stay whole. */
static bool find_widest(const Layout *layout, unsigned *widest)
{
    unsigned most = 0;

    for (unsigned column = 0; column < layout->table->columns; column++) {
        if (text_table_is_right_aligned(layout->table, column) ||
            layout->widths[column] <= MAX(least_width(layout, column), most))
            continue;
        most = layout->widths[column];
        *widest = column;
    }
    return most > 0;
}

/* The last column's text can go on below, so it gives way first. */
static void fit(Layout *layout)
{
    unsigned total = total_width(layout);
    unsigned least = least_width(layout, layout->last);
    unsigned *last = &layout->widths[layout->last];
    unsigned widest;

    if (layout->screen == 0 || total <= layout->screen)
        return;
    if (!text_table_is_right_aligned(layout->table, layout->last) && *last > least)
        *last = *last > total - layout->screen + least ? *last - (total - layout->screen) : least;
    while (total_width(layout) > layout->screen && find_widest(layout, &widest))
        layout->widths[widest]--;
}

static void lay_out(Layout *layout)
{
    for (unsigned column = 0; column < layout->table->columns; column++) {
        if (text_table_is_empty(layout->table, column))
            continue;
        layout->widths[column] = (unsigned)column_width(layout->table, column);
        layout->last = column;
    }
    fit(layout);
    layout->indent = total_width(layout) - layout->widths[layout->last];
}

/* What stands in a cell: whole, shortened, or on several lines. */
static char *cell_text(const Layout *layout, unsigned column, const char *text)
{
    unsigned width = layout->widths[column];

    if ((unsigned)g_utf8_strlen(text, -1) <= width)
        return g_strdup(text);
    return column == layout->last ? terminal_text_wrap(text, layout->indent + width, layout->indent)
                                  : terminal_text_shorten(text, width);
}

static void append_cell(GString *line, const Layout *layout, unsigned column, const char *text,
                        TerminalTone tone)
{
    if (layout->widths[column] == 0)
        return;
    g_autofree char *shown = cell_text(layout, column, text);
    int padding = MAX((int)layout->widths[column] - (int)g_utf8_strlen(shown, -1), 0);
    bool right = text_table_is_right_aligned(layout->table, column);

    if (right)
        g_string_append_printf(line, "%*s", padding, "");
    g_string_append_printf(line, "%s%s%s", terminal_text_begin(tone, layout->colour), shown,
                           terminal_text_end(tone, layout->colour));
    if (column != layout->last)
        g_string_append_printf(line, "%*s", (right ? 0 : padding) + SEPARATOR, "");
}

static void print_line(GString *line, FILE *stream)
{
    g_strchomp(line->str);
    fprintf(stream, "%s\n", line->str);
    g_string_truncate(line, 0);
}

static void print_headings(const Layout *layout, FILE *stream)
{
    g_autoptr(GString) line = g_string_new(NULL);
    bool headed = false;

    for (unsigned column = 0; column < layout->table->columns; column++) {
        const char *text = text_table_heading(layout->table, column);
        headed = headed || *text != '\0';
        append_cell(line, layout, column, text, TERMINAL_PLAIN);
    }
    if (headed)
        print_line(line, stream);
}

void text_table_print(const TextTable *table, FILE *stream, bool colour)
{
    g_autofree unsigned *widths = g_new0(unsigned, table->columns);
    g_autoptr(GString) line = g_string_new(NULL);
    Layout layout = {
        .table = table, .widths = widths, .screen = terminal_text_width(stream), .colour = colour};

    lay_out(&layout);
    print_headings(&layout, stream);
    for (unsigned row = 0; row < text_table_rows(table); row++) {
        for (unsigned column = 0; column < table->columns; column++) {
            const Cell *cell = cell_at(table, row, column);
            append_cell(line, &layout, column, cell->text, cell->tone);
        }
        print_line(line, stream);
    }
    if (table->left_out > 0)
        fprintf(stream, "... and %u more\n", table->left_out);
}
