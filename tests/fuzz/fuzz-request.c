/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-values.h"
#include "protocol/json-writer.h"
#include "protocol/request.h"

#include <string.h>

/*
 * Requests, and what is echoed of them: errors must be text that can be sent, and the value as the
 * writer writes it must read as the same value.
 */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static json_object *expected;

static void take_echo(json_object *echo)
{
    if (!json_object_equal(echo, expected))
        g_error("written: %s, read: %s", json_object_to_json_string(expected),
                json_object_to_json_string(echo));
    expected = NULL;
}

static void check_echo(json_object *value)
{
    g_autoptr(JsonWriter) writer = json_writer_new();
    size_t length = 0;

    json_writer_value(writer, NULL, value);
    const char *text = json_writer_text(writer, &length);
    g_assert(g_utf8_validate_len(text, length, NULL));
    g_assert(memchr(text, '\n', length) == NULL);
    if (!json_object_is_type(value, json_type_object))
        return;
    expected = value;
    json_values_each((const uint8_t *)text, length, take_echo);
    g_assert(expected == NULL);
}

static void take_request(json_object *value)
{
    g_autoptr(GError) error = NULL;
    Request request;
    bool good = request_parse(value, &request, &error);

    g_assert(good == (error == NULL) && good == (request.command != NULL));
    g_assert(good || g_utf8_validate(error->message, -1, NULL));
    check_echo(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    json_values_each(input, length, take_request);
    return 0;
}
