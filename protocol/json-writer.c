/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/json-writer.h"

#include <math.h>
#include <string.h>

/* A request's id is at most MESSAGE_STREAM_MAX_DEPTH deep; replies add a few levels. */
#define MAX_DEPTH 128

typedef struct {
    bool is_object;
    bool has_members;
} Level;

struct JsonWriter {
    GString *text;
    Level levels[MAX_DEPTH];
    unsigned depth;
    bool done;
};

JsonWriter *json_writer_new(void)
{
    JsonWriter *writer = g_new0(JsonWriter, 1);
    writer->text = g_string_sized_new(256);
    return writer;
}

void json_writer_free(JsonWriter *writer)
{
    if (writer == NULL)
        return;
    if (writer->text != NULL)
        g_string_free(writer->text, TRUE);
    g_free(writer);
}

/* Appends length bytes at *tail without their being cleared first. */
static void append_run(JsonWriter *writer, const char *bytes, size_t length)
{
    g_string_append_len(writer->text, bytes, (gssize)length);
}

static size_t plain_run(const uint8_t *at, size_t length)
{
    size_t n = 0;
    while (n < length && at[n] >= 0x20 && at[n] < 0x7F && at[n] != '"' && at[n] != '\\')
        n++;
    return n;
}

/* One character that is not a plain one; returns the number of bytes it took. */
static size_t append_special(JsonWriter *writer, const char *at, size_t length)
{
    static const char short_escapes[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    uint8_t c = (uint8_t)*at;

    if (c >= 0x80) {
        gunichar character = g_utf8_get_char_validated(at, (gssize)length);
        if (character == (gunichar)-1 || character == (gunichar)-2) {
            append_run(writer, "\xEF\xBF\xBD", 3);
            return 1;
        }
        size_t bytes = (size_t)(g_utf8_next_char(at) - at);
        append_run(writer, at, bytes);
        return bytes;
    }
    if (c == '"' || c == '\\') {
        append_run(writer, c == '"' ? "\\\"" : "\\\\", 2);
    } else if (c < 0x20 && short_escapes[c] != 0) {
        char escape[2] = {'\\', short_escapes[c]};
        append_run(writer, escape, 2);
    } else {
        g_string_append_printf(writer->text, "\\u%04x", c);
    }
    return 1;
}

static void append_quoted(JsonWriter *writer, const char *bytes, size_t length)
{
    g_string_append_c(writer->text, '"');
    while (length > 0) {
        size_t run = plain_run((const uint8_t *)bytes, length);
        append_run(writer, bytes, run);
        if (run < length)
            run += append_special(writer, bytes + run, length - run);
        bytes += run;
        length -= run;
    }
    g_string_append_c(writer->text, '"');
}

static void begin_value(JsonWriter *writer, const char *name)
{
    g_assert(!writer->done);
    if (writer->depth == 0) {
        g_assert(name == NULL);
        return;
    }
    Level *level = &writer->levels[writer->depth - 1];
    g_assert(level->is_object == (name != NULL));
    if (level->has_members)
        g_string_append(writer->text, ", ");
    level->has_members = true;
    if (name != NULL) {
        append_quoted(writer, name, strlen(name));
        g_string_append(writer->text, ": ");
    }
}

static void end_value(JsonWriter *writer)
{
    writer->done = writer->depth == 0;
}

static void begin_level(JsonWriter *writer, const char *name, bool is_object)
{
    begin_value(writer, name);
    g_assert(writer->depth < MAX_DEPTH);
    writer->levels[writer->depth++] = (Level){.is_object = is_object};
    g_string_append_c(writer->text, is_object ? '{' : '[');
}

static void end_level(JsonWriter *writer, bool is_object)
{
    g_assert(writer->depth > 0 && writer->levels[writer->depth - 1].is_object == is_object);
    writer->depth--;
    g_string_append_c(writer->text, is_object ? '}' : ']');
    end_value(writer);
}

void json_writer_begin_object(JsonWriter *writer, const char *name)
{
    begin_level(writer, name, true);
}

void json_writer_end_object(JsonWriter *writer)
{
    end_level(writer, true);
}

void json_writer_begin_array(JsonWriter *writer, const char *name)
{
    begin_level(writer, name, false);
}

void json_writer_end_array(JsonWriter *writer)
{
    end_level(writer, false);
}

static void write_literal(JsonWriter *writer, const char *name, const char *literal)
{
    begin_value(writer, name);
    g_string_append(writer->text, literal);
    end_value(writer);
}

void json_writer_null(JsonWriter *writer, const char *name)
{
    write_literal(writer, name, "null");
}

static void write_string(JsonWriter *writer, const char *name, const char *bytes, size_t length)
{
    begin_value(writer, name);
    append_quoted(writer, bytes, length);
    end_value(writer);
}

void json_writer_string(JsonWriter *writer, const char *name, const char *text)
{
    if (text == NULL)
        json_writer_null(writer, name);
    else
        write_string(writer, name, text, strlen(text));
}

void json_writer_optional_string(JsonWriter *writer, const char *name, const char *text)
{
    if (text != NULL)
        json_writer_string(writer, name, text);
}

void json_writer_base64(JsonWriter *writer, const char *name, const void *bytes, size_t length)
{
    begin_value(writer, name);
    g_string_append_c(writer->text, '"');
    size_t start = writer->text->len;
    g_string_set_size(writer->text, start + (length / 3 + 1) * 4 + 4);
    int state = 0, save = 0;
    size_t written =
        g_base64_encode_step(bytes, length, FALSE, writer->text->str + start, &state, &save);
    written += g_base64_encode_close(FALSE, writer->text->str + start + written, &state, &save);
    g_string_set_size(writer->text, start + written);
    g_string_append_c(writer->text, '"');
    end_value(writer);
}

void json_writer_integer(JsonWriter *writer, const char *name, int64_t value)
{
    char text[32];
    g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, value);
    write_literal(writer, name, text);
}

void json_writer_unsigned(JsonWriter *writer, const char *name, uint64_t value)
{
    char text[32];
    g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT, value);
    write_literal(writer, name, text);
}

void json_writer_number(JsonWriter *writer, const char *name, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    if (!isfinite(value))
        json_writer_null(writer, name);
    else
        write_literal(writer, name, g_ascii_dtostr(text, sizeof text, value));
}

void json_writer_boolean(JsonWriter *writer, const char *name, bool value)
{
    write_literal(writer, name, value ? "true" : "false");
}

static void write_object(JsonWriter *writer, const char *name, json_object *value)
{
    json_writer_begin_object(writer, name);
    json_object_object_foreach(value, member_name, member)
    {
        json_writer_value(writer, member_name, member);
    }
    json_writer_end_object(writer);
}

static void write_array(JsonWriter *writer, const char *name, json_object *value)
{
    json_writer_begin_array(writer, name);
    for (size_t i = 0; i < json_object_array_length(value); i++)
        json_writer_value(writer, NULL, json_object_array_get_idx(value, i));
    json_writer_end_array(writer);
}

void json_writer_value(JsonWriter *writer, const char *name, json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_object:
        write_object(writer, name, value);
        break;
    case json_type_array:
        write_array(writer, name, value);
        break;
    case json_type_string:
        write_string(writer, name, json_object_get_string(value),
                     (size_t)json_object_get_string_len(value));
        break;
    default:
        write_literal(writer, name, json_object_to_json_string(value));
        break;
    }
}

const char *json_writer_text(const JsonWriter *writer, size_t *length)
{
    if (length != NULL)
        *length = writer->text->len;
    return writer->text->str;
}

GBytes *json_writer_steal(JsonWriter *writer)
{
    g_assert(writer->depth == 0);
    GBytes *bytes = g_string_free_to_bytes(writer->text);
    writer->text = g_string_sized_new(256);
    writer->done = false;
    return bytes;
}
