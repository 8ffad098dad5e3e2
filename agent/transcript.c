/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/transcript.h"

#include <string.h>

/* What is left of a long string. */
#define BEGINNING_BYTES 16u

static bool is_full(const GString *text)
{
    return text->len >= TRANSCRIPT_BYTES;
}

static void append_elided(GString *text, const char *beginning, size_t length, size_t bytes)
{
    const char *valid_end;
    g_utf8_validate_len(beginning, length, &valid_end);
    g_string_append_c(text, '"');
    g_string_append_len(text, beginning, valid_end - beginning);
    g_string_append_printf(text, "...(%zu bytes)\"", bytes);
}

/* The length of what needs no escape in JSON. */
static size_t plain_span(const char *bytes, size_t length)
{
    size_t span = 0;
    while (span < length && (unsigned char)bytes[span] >= ' ' && bytes[span] != '"' &&
           bytes[span] != '\\')
        span++;
    return span;
}

static void append_value(GString *text, json_object *value);

static void append_string(GString *text, json_object *value)
{
    size_t length = (size_t)json_object_get_string_len(value);
    const char *bytes = json_object_get_string(value);
    if (length > TRANSCRIPT_STRING_BYTES)
        append_elided(text, bytes, plain_span(bytes, BEGINNING_BYTES), length);
    else
        g_string_append(text,
                        json_object_to_json_string_ext(value, JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void append_object(GString *text, json_object *object)
{
    const char *separator = "";
    g_string_append_c(text, '{');
    struct json_object_iterator at = json_object_iter_begin(object);
    struct json_object_iterator end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&at, &end) && !is_full(text); json_object_iter_next(&at)) {
        json_object *name = json_object_new_string(json_object_iter_peek_name(&at));
        g_string_append(text, separator);
        append_string(text, name);
        json_object_put(name);
        g_string_append(text, ": ");
        append_value(text, json_object_iter_peek_value(&at));
        separator = ", ";
    }
    g_string_append_c(text, '}');
}

static void append_array(GString *text, json_object *array)
{
    size_t length = json_object_array_length(array);
    g_string_append_c(text, '[');
    for (size_t i = 0; i < length && !is_full(text); i++) {
        if (i > 0)
            g_string_append(text, ", ");
        append_value(text, json_object_array_get_idx(array, i));
    }
    g_string_append_c(text, ']');
}

static void append_value(GString *text, json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_object:
        append_object(text, value);
        break;
    case json_type_array:
        append_array(text, value);
        break;
    case json_type_string:
        append_string(text, value);
        break;
    default:
        g_string_append(text, json_object_to_json_string(value));
        break;
    }
}

static char *finish(GString *text)
{
    if (text->len > TRANSCRIPT_BYTES) {
        const char *valid_end;
        g_utf8_validate_len(text->str, TRANSCRIPT_BYTES, &valid_end);
        g_string_truncate(text, (size_t)(valid_end - text->str));
        g_string_append(text, "...");
    }
    return g_string_free(text, FALSE);
}

/* Only what is known to be harmless. */
static void append_without_arguments(GString *text, json_object *value)
{
    static const char *const shown[] = {"execute", "id"};

    g_string_append_c(text, '{');
    for (size_t i = 0; i < G_N_ELEMENTS(shown); i++) {
        json_object *member;
        if (!json_object_object_get_ex(value, shown[i], &member))
            continue;
        g_string_append_printf(text, "\"%s\": ", shown[i]);
        append_value(text, member);
        g_string_append(text, ", ");
    }
    g_string_append(text, "...}");
}

char *transcript_request(json_object *value, bool hide_arguments)
{
    GString *text = g_string_new(NULL);
    if (!hide_arguments)
        append_value(text, value);
    else if (json_object_is_type(value, json_type_object))
        append_without_arguments(text, value);
    else
        g_string_append(text, "...");
    return finish(text);
}

/* The closing quote of the string whose body begins at from; end if there is none. */
static const char *closing_quote(const char *from, const char *end)
{
    const char *at = from;
    while ((at = memchr(at, '"', (size_t)(end - at))) != NULL) {
        const char *run = at;
        while (run > from && run[-1] == '\\')
            run--;
        if ((at - run) % 2 == 0)
            return at;
        at++;
    }
    return end;
}

char *transcript_reply(const char *line, size_t length)
{
    const char *at = line;
    const char *end = line + length;
    GString *text = g_string_new(NULL);

    if (at < end && *at == '\xff')
        at++;
    if (at < end && end[-1] == '\n')
        end--;
    while (at < end && !is_full(text)) {
        const char *opening = memchr(at, '"', (size_t)(end - at));
        if (opening == NULL)
            opening = end;
        g_string_append_len(text, at, MIN(opening - at, (ptrdiff_t)TRANSCRIPT_BYTES));
        if (opening == end)
            break;
        const char *body = opening + 1;
        const char *closing = closing_quote(body, end);
        size_t bytes = (size_t)(closing - body);
        if (bytes > TRANSCRIPT_STRING_BYTES)
            append_elided(text, body, plain_span(body, BEGINNING_BYTES), bytes);
        else
            g_string_append_len(text, opening, MIN(closing + 1, end) - opening);
        at = MIN(closing + 1, end);
    }
    return finish(text);
}
