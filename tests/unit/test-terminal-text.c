/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/terminal-text.h"
#include "prober/text-table.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *raw;
    const char *shown;
} texts[] = {
    {NULL, ""},
    {"/srv/data", "/srv/data"},
    {"/srv/M\303\274ll", "/srv/M\303\274ll"},
    {"\033[2J\033[1;32mFROZEN", "\\x1b[2J\\x1b[1;32mFROZEN"},
    {"two\nlines\r\t", "two\\x0alines\\x0d\\x09"},
    {"not utf-8 \377\376", "not utf-8 \\xff\\xfe"},
    {"cut short \303", "cut short \\xc3"},
    {"c1 \302\233 csi", "c1 \\xc2\\x9b csi"},
    {"turned \342\200\256 round", "turned \\xe2\\x80\\xae round"},
    {"line\342\200\250end", "line\\xe2\\x80\\xa8end"},
};

START_TEST(what_could_change_the_screen_is_escaped)
{
    g_autofree char *shown = terminal_text_escape(texts[_i].raw);

    ck_assert_str_eq(shown, texts[_i].shown);
}
END_TEST

START_TEST(long_text_is_cut)
{
    g_autofree char *raw = g_strnfill(1000000, 'x');
    g_autofree char *shown = terminal_text_escape(raw);

    ck_assert_uint_eq(strlen(shown), TERMINAL_TEXT_MAX_CHARS + 3);
    ck_assert(g_str_has_suffix(shown, "x..."));
}
END_TEST

static const struct {
    const char *text;
    unsigned width;
    const char *wrapped;
} wraps[] = {
    {"one two three", 0, "one two three"},
    {"one two three", 80, "one two three"},
    {"one two three four", 14, "one two\n    three four"},
    {"0123456789abcdef", 14, "0123456789\n    abcdef"},
    {"\303\274\303\274\303\274\303\274 \303\274\303\274\303\274\303\274\303\274 x", 14,
     "\303\274\303\274\303\274\303\274 \303\274\303\274\303\274\303\274\303\274\n    x"},
    {"", 14, ""},
};

START_TEST(words_go_on_below_where_a_screen_ends)
{
    g_autofree char *wrapped = terminal_text_wrap(wraps[_i].text, wraps[_i].width, 4);

    ck_assert_str_eq(wrapped, wraps[_i].wrapped);
}
END_TEST

START_TEST(what_is_shortened_keeps_its_ends)
{
    g_autofree char *shown = terminal_text_shorten("/var/lib/containers/storage", 12);
    g_autofree char *fits = terminal_text_shorten("/var/lib", 8);

    ck_assert_str_eq(shown, "/var...orage");
    ck_assert_str_eq(fits, "/var/lib");
}
END_TEST

static char *print(const TextTable *table, bool colour)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);

    text_table_print(table, stream, colour);
    fclose(stream);
    return text;
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
    const char *const headings[] = {"name", ">size", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    text_table_cell(table, "M\303\274ller");
    text_table_cell(table, "7");
    text_table_cell(table, "a");
    text_table_cell_format(table, "%d", 12345);
    char *text = print(table, false);
    ck_assert_str_eq(text, "name     size\nM\303\274ller      7\na       12345\n");
    free(text);
}
END_TEST

START_TEST(a_column_without_text_is_left_out)
{
    const char *const headings[] = {"a", "b", "c", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    text_table_cell(table, "1");
    text_table_cell(table, "");
    text_table_cell(table, "3");
    char *text = print(table, false);
    ck_assert_str_eq(text, "a  c\n1  3\n");
    free(text);
}
END_TEST

START_TEST(colour_changes_no_width_and_a_cell_cannot_bring_its_own)
{
    const char *const headings[] = {"", "", NULL};
    g_autoptr(TextTable) table = text_table_new(headings);

    text_table_cell_tone(table, TERMINAL_GOOD, "for");
    text_table_cell(table, "\033[31mred");
    text_table_cell(table, "against");
    text_table_cell(table, "x");
    char *text = print(table, true);
    ck_assert_str_eq(text, "\033[1;32mfor\033[0m      \\x1b[31mred\nagainst  x\n");
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("terminal-text");
    TCase *tcase = tcase_create("terminal-text");

    tcase_add_loop_test(tcase, what_could_change_the_screen_is_escaped, 0, G_N_ELEMENTS(texts));
    tcase_add_loop_test(tcase, words_go_on_below_where_a_screen_ends, 0, G_N_ELEMENTS(wraps));
    tcase_add_test(tcase, what_is_shortened_keeps_its_ends);
    tcase_add_test(tcase, long_text_is_cut);
    tcase_add_test(tcase, columns_are_as_wide_as_their_widest_cell);
    tcase_add_test(tcase, a_column_without_text_is_left_out);
    tcase_add_test(tcase, colour_changes_no_width_and_a_cell_cannot_bring_its_own);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
