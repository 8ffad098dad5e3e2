/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes JSON text straight into one growing buffer: no tree is built for a reply, so that a
 * 45 MiB payload exists once. Inside an object every value has a name; inside an array, and for the
 * outermost value, name is NULL. Misuse (a name where none belongs, unbalanced ends) is a
 * programmer's error and asserts.
 */
typedef struct JsonWriter JsonWriter;

/* Objects and arrays inside each other: what a message may have and then some. */
#define JSON_WRITER_MAX_DEPTH 128

JsonWriter *json_writer_new(void);
void json_writer_free(JsonWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonWriter, json_writer_free)

void json_writer_begin_object(JsonWriter *writer, const char *name);
void json_writer_end_object(JsonWriter *writer);
void json_writer_begin_array(JsonWriter *writer, const char *name);
void json_writer_end_array(JsonWriter *writer);

/* text may be any bytes: invalid UTF-8 becomes U+FFFD, as JSON is UTF-8 by definition (RFC 8259).
 * A NULL text writes null. */
void json_writer_string(JsonWriter *writer, const char *name, const char *text);
/* The string only when there is one: for optional members. */
void json_writer_optional_string(JsonWriter *writer, const char *name, const char *text);
/* A string that is the base64 form of any bytes (RFC 4648, section 4), encoded straight into the
 * writer's buffer: at once, or piece by piece between begin and end, so that a file's contents need
 * not be in memory as a whole. expected_bytes is room made beforehand; 0 when it is not known. */
void json_writer_base64(JsonWriter *writer, const char *name, const void *bytes, size_t length);
void json_writer_begin_base64(JsonWriter *writer, const char *name, size_t expected_bytes);
void json_writer_append_base64(JsonWriter *writer, const void *bytes, size_t length);
void json_writer_end_base64(JsonWriter *writer);
void json_writer_integer(JsonWriter *writer, const char *name, int64_t value);
void json_writer_unsigned(JsonWriter *writer, const char *name, uint64_t value);
/* The shortest form that reads back as the same double; null for what is no number, which JSON has
 * no word for. */
void json_writer_number(JsonWriter *writer, const char *name, double value);
void json_writer_boolean(JsonWriter *writer, const char *name, bool value);
void json_writer_null(JsonWriter *writer, const char *name);
/* Any json-c value, e.g. a request's id echoed back, at most JSON_WRITER_MAX_DEPTH deep. */
void json_writer_value(JsonWriter *writer, const char *name, json_object *value);

/* The text so far; owned by the writer. */
const char *json_writer_text(const JsonWriter *writer, size_t *length);
/* Takes the text out of the writer, which is empty afterwards; free with g_bytes_unref(). */
GBytes *json_writer_steal(JsonWriter *writer);
