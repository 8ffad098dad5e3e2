/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/message-stream.h"

#include "protocol/protocol-error.h"

#include <string.h>

struct MessageStream {
    json_tokener *tokener;
    GByteArray *input;
    size_t consumed;
    size_t message_bytes;
    unsigned delimiters;
    bool discarding;
};

MessageStream *message_stream_new(void)
{
    MessageStream *stream = g_new0(MessageStream, 1);
    stream->tokener = json_tokener_new_ex(MESSAGE_STREAM_MAX_DEPTH);
    stream->input = g_byte_array_new();
    return stream;
}

void message_stream_free(MessageStream *stream)
{
    if (stream == NULL)
        return;
    json_tokener_free(stream->tokener);
    g_byte_array_unref(stream->input);
    g_free(stream);
}

static void forget_message(MessageStream *stream)
{
    json_tokener_reset(stream->tokener);
    stream->message_bytes = 0;
}

void message_stream_reset(MessageStream *stream)
{
    forget_message(stream);
    g_byte_array_set_size(stream->input, 0);
    stream->consumed = 0;
    stream->discarding = false;
}

bool message_stream_is_empty(const MessageStream *stream)
{
    return stream->message_bytes == 0 && stream->consumed == stream->input->len;
}

unsigned message_stream_delimiters(const MessageStream *stream)
{
    return stream->delimiters;
}

void message_stream_feed(MessageStream *stream, const void *bytes, size_t length)
{
    g_byte_array_append(stream->input, bytes, (guint)length);
}

static MessageStreamResult fail(MessageStream *stream, GError **error, const char *text)
{
    g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC, "JSON parse error, %s", text);
    forget_message(stream);
    stream->discarding = true;
    return MESSAGE_STREAM_ERROR;
}

MessageStreamResult message_stream_next(MessageStream *stream, json_object **value, GError **error)
{
    *value = NULL;
    while (stream->consumed < stream->input->len) {
        const uint8_t *at = stream->input->data + stream->consumed;
        size_t left = stream->input->len - stream->consumed;
        if (*at == 0xFF) {
            forget_message(stream);
            stream->discarding = false;
            stream->delimiters++;
            stream->consumed++;
            continue;
        }
        if (stream->discarding || (stream->message_bytes == 0 && g_ascii_isspace(*at))) {
            stream->discarding = stream->discarding && *at != '\n';
            stream->consumed++;
            continue;
        }
        const uint8_t *delimiter = memchr(at, 0xFF, left);
        size_t length = delimiter != NULL ? (size_t)(delimiter - at) : left;
        json_object *parsed = json_tokener_parse_ex(stream->tokener, (const char *)at, (int)length);
        enum json_tokener_error result = json_tokener_get_error(stream->tokener);
        size_t used = json_tokener_get_parse_end(stream->tokener);
        if (result == json_tokener_continue)
            used = length;
        stream->consumed += used;
        stream->message_bytes += used;
        if (result == json_tokener_success) {
            forget_message(stream);
            *value = parsed;
            return MESSAGE_STREAM_VALUE;
        }
        if (result != json_tokener_continue)
            return fail(stream, error, json_tokener_error_desc(result));
        if (stream->message_bytes > MESSAGE_STREAM_MAX_BYTES)
            return fail(stream, error, "message longer than 64 MiB");
    }
    g_byte_array_set_size(stream->input, 0);
    stream->consumed = 0;
    return MESSAGE_STREAM_MORE;
}
