/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/json-writer.h"

#include "protocol/base64.h"

#include <math.h>
#include <string.h>

#define START_BYTES 256
#define GROUP_BYTES 3
#define U_FFFD "\xEF\xBF\xBD"

/* Bytes of a string that stand for themselves; 0x7F does not show, so it is escaped. */
static const bool plain_bytes[256] = {
    [0x20 ... '"' - 1] = true,
    ['"' + 1 ... '\\' - 1] = true,
    ['\\' + 1 ... 0x7E] = true,
};

/* The letter after the backslash; 0: \uXXXX. */
static const char short_escapes[0x80] = {
    ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n',  ['\r'] = 'r',
    ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\',
};

typedef struct {
    bool is_object;
    bool has_members;
} Level;

struct JsonWriter {
    GString *text;
    Level levels[JSON_WRITER_MAX_DEPTH];
    unsigned depth;
    bool done;                 /* the outermost value is complete */
    bool encoding;             /* between begin and end of a base64 string */
    uint8_t held[GROUP_BYTES]; /* of base64: the beginning of a group */
    unsigned held_bytes;
};

JsonWriter *json_writer_new(void)
{
    JsonWriter *writer = g_new0(JsonWriter, 1);
    writer->text = g_string_sized_new(START_BYTES);
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

static size_t plain_run(const char *bytes, size_t length)
{
    size_t run = 0;

    while (run < length && plain_bytes[(uint8_t)bytes[run]])
        run++;
    return run;
}

static void append_escape(GString *text, uint8_t byte)
{
    if (short_escapes[byte] == 0) {
        g_string_append_printf(text, "\\u%04x", byte);
        return;
    }
    g_string_append_c(text, '\\');
    g_string_append_c(text, short_escapes[byte]);
}

/* The first character, which is no plain one; returns how many bytes it takes. */
static size_t append_special(GString *text, const char *bytes, size_t length)
{
    uint8_t byte = (uint8_t)*bytes;

    if (byte < 0x80) {
        append_escape(text, byte);
        return 1;
    }
    gunichar character = g_utf8_get_char_validated(bytes, (gssize)length);
    if (character == (gunichar)-1 || character == (gunichar)-2) {
        g_string_append(text, U_FFFD);
        return 1;
    }
    size_t taken = (size_t)(g_utf8_next_char(bytes) - bytes);
    g_string_append_len(text, bytes, (gssize)taken);
    return taken;
}

static void append_quoted(JsonWriter *writer, const char *bytes, size_t length)
{
    g_string_append_c(writer->text, '"');
    while (length > 0) {
        size_t run = plain_run(bytes, length);
        g_string_append_len(writer->text, bytes, (gssize)run);
        if (run < length)
            run += append_special(writer->text, bytes + run, length - run);
        bytes += run;
        length -= run;
    }
    g_string_append_c(writer->text, '"');
}

static void begin_value(JsonWriter *writer, const char *name)
{
    g_assert(!writer->done && !writer->encoding);
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
    g_assert(writer->depth < JSON_WRITER_MAX_DEPTH);
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

void json_writer_begin_base64(JsonWriter *writer, const char *name, size_t expected_bytes)
{
    begin_value(writer, name);
    g_string_append_c(writer->text, '"');
    size_t start = writer->text->len;
    /* And for what follows it, which must not make the buffer grow to twice its size. */
    g_string_set_size(writer->text, start + BASE64_ENCODED_BYTES(expected_bytes) + START_BYTES);
    g_string_truncate(writer->text, start);
    writer->encoding = true;
    writer->held_bytes = 0;
}

static void append_groups(JsonWriter *writer, const uint8_t *bytes, size_t length)
{
    size_t start = writer->text->len;

    g_string_set_size(writer->text, start + BASE64_ENCODED_BYTES(length));
    base64_encode(bytes, length, writer->text->str + start);
}

void json_writer_append_base64(JsonWriter *writer, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;

    g_assert(writer->encoding);
    while (length > 0 && writer->held_bytes > 0 && writer->held_bytes < GROUP_BYTES) {
        writer->held[writer->held_bytes++] = *at++;
        length--;
    }
    if (writer->held_bytes == GROUP_BYTES) {
        append_groups(writer, writer->held, GROUP_BYTES);
        writer->held_bytes = 0;
    }
    size_t rest = length % GROUP_BYTES;
    append_groups(writer, at, length - rest);
    for (size_t i = length - rest; i < length; i++)
        writer->held[writer->held_bytes++] = at[i];
}

void json_writer_end_base64(JsonWriter *writer)
{
    g_assert(writer->encoding);
    append_groups(writer, writer->held, writer->held_bytes);
    g_string_append_c(writer->text, '"');
    writer->encoding = false;
    end_value(writer);
}

void json_writer_base64(JsonWriter *writer, const char *name, const void *bytes, size_t length)
{
    json_writer_begin_base64(writer, name, length);
    json_writer_append_base64(writer, bytes, length);
    json_writer_end_base64(writer);
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

    if (!isfinite(value)) {
        json_writer_null(writer, name);
        return;
    }
    g_ascii_formatd(text, sizeof text, "%.15g", value);
    if (g_ascii_strtod(text, NULL) != value)
        g_ascii_dtostr(text, sizeof text, value);
    write_literal(writer, name, text);
}

void json_writer_boolean(JsonWriter *writer, const char *name, bool value)
{
    write_literal(writer, name, value ? "true" : "false");
}

static void write_object(JsonWriter *writer, const char *name, json_object *value)
{
    struct json_object_iter member;

    json_writer_begin_object(writer, name);
    json_object_object_foreachC(value, member) json_writer_value(writer, member.key, member.val);
    json_writer_end_object(writer);
}

static void write_array(JsonWriter *writer, const char *name, json_object *value)
{
    json_writer_begin_array(writer, name);
    for (size_t i = 0; i < json_object_array_length(value); i++)
        json_writer_value(writer, NULL, json_object_array_get_idx(value, i));
    json_writer_end_array(writer);
}

static void write_text(JsonWriter *writer, const char *name, json_object *value)
{
    write_string(writer, name, json_object_get_string(value),
                 (size_t)json_object_get_string_len(value));
}

/* null, booleans, integers and doubles; json-c keeps the text that a double was read from. */
static void write_plain(JsonWriter *writer, const char *name, json_object *value)
{
    write_literal(writer, name, json_object_to_json_string(value));
}

void json_writer_value(JsonWriter *writer, const char *name, json_object *value)
{
    static void (*const writers[])(JsonWriter *, const char *, json_object *) = {
        [json_type_null] = write_plain,    [json_type_boolean] = write_plain,
        [json_type_int] = write_plain,     [json_type_double] = write_plain,
        [json_type_object] = write_object, [json_type_array] = write_array,
        [json_type_string] = write_text,
    };

    writers[json_object_get_type(value)](writer, name, value);
}

const char *json_writer_text(const JsonWriter *writer, size_t *length)
{
    if (length != NULL)
        *length = writer->text->len;
    return writer->text->str;
}

GBytes *json_writer_steal(JsonWriter *writer)
{
    g_assert(writer->depth == 0 && !writer->encoding);
    GBytes *bytes = g_string_free_to_bytes(writer->text);
    writer->text = g_string_sized_new(START_BYTES);
    writer->done = false;
    return bytes;
}
