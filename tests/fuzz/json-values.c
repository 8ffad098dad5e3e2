/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-values.h"

#include "protocol/message-stream.h"

void json_values_each(const uint8_t *input, size_t length, void (*take)(json_object *value))
{
    g_autoptr(MessageStream) stream = message_stream_new();
    MessageStreamResult result;

    message_stream_feed(stream, input, length);
    do {
        g_autoptr(GError) error = NULL;
        json_object *value = NULL;
        result = message_stream_next(stream, &value, &error);
        if (result == MESSAGE_STREAM_VALUE) {
            take(value);
            json_object_put(value);
        }
    } while (result != MESSAGE_STREAM_MORE);
}
