/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/message-stream.h"

#include "protocol/json-lexer.h"
#include "protocol/protocol-error.h"

#include <string.h>

/* Above this a tokener's buffer is worth giving back rather than keeping for the next message. */
#define KEEP_BYTES (64u * 1024)

G_STATIC_ASSERT(MESSAGE_STREAM_MAX_BYTES == 64 * 1024 * 1024); /* as the error says */

typedef enum {
    READING_GAP,     /* white space between messages */
    READING_MESSAGE, /* the tokener has seen some of it */
    READING_GARBAGE, /* up to the next newline or 0xFF */
} Reading;

/* A long string that the tokener has not seen: it was given an empty one in its place. */
typedef struct {
    unsigned member; /* the how-manieth in the message it is the value of, from 1 */
    GByteArray *bytes;
} Text;

struct MessageStream {
    Reading reading;
    GByteArray *input;
    size_t consumed; /* of input */
    JsonLexer lexer;
    json_tokener *tokener;
    size_t message_bytes; /* consumed since the message began */
    bool complete;        /* the tokener has given .value, which may be NULL */
    json_object *value;
    bool in_text; /* what comes is kept in the last of .texts */
    GQueue texts; /* of Text, in the message's order */
    unsigned delimiters;
};

static void text_free(Text *text)
{
    g_byte_array_unref(text->bytes);
    g_free(text);
}

static json_tokener *new_tokener(void)
{
    json_tokener *tokener = json_tokener_new_ex(MESSAGE_STREAM_MAX_DEPTH);

    if (tokener == NULL)
        g_error("out of memory for a JSON tokener");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    return tokener;
}

MessageStream *message_stream_new(void)
{
    MessageStream *stream = g_new0(MessageStream, 1);

    stream->input = g_byte_array_new();
    stream->tokener = new_tokener();
    return stream;
}

void message_stream_free(MessageStream *stream)
{
    if (stream == NULL)
        return;
    g_queue_clear_full(&stream->texts, (GDestroyNotify)text_free);
    json_object_put(stream->value);
    json_tokener_free(stream->tokener);
    g_byte_array_unref(stream->input);
    g_free(stream);
}

/* Puts everything about the current message back; a reset tokener keeps its largest buffer. */
static void leave_message(MessageStream *stream, Reading reading)
{
    if (stream->message_bytes > KEEP_BYTES) {
        json_tokener_free(stream->tokener);
        stream->tokener = new_tokener();
    } else if (stream->reading == READING_MESSAGE) {
        json_tokener_reset(stream->tokener);
    }
    g_queue_clear_full(&stream->texts, (GDestroyNotify)text_free);
    stream->in_text = false;
    g_clear_pointer(&stream->value, json_object_put);
    stream->complete = false;
    stream->message_bytes = 0;
    stream->reading = reading;
}

static void drop_input(MessageStream *stream)
{
    if (stream->input->len > KEEP_BYTES) {
        g_byte_array_unref(stream->input);
        stream->input = g_byte_array_new();
    }
    g_byte_array_set_size(stream->input, 0);
    stream->consumed = 0;
}

void message_stream_reset(MessageStream *stream)
{
    leave_message(stream, READING_GAP);
    drop_input(stream);
}

bool message_stream_is_empty(const MessageStream *stream)
{
    return stream->reading != READING_MESSAGE && stream->consumed == stream->input->len;
}

unsigned message_stream_delimiters(const MessageStream *stream)
{
    return stream->delimiters;
}

void message_stream_feed(MessageStream *stream, const void *bytes, size_t length)
{
    g_byte_array_append(stream->input, bytes, (guint)length);
}

static MessageStreamResult fail(MessageStream *stream, const char *why, GError **error)
{
    g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC, "JSON parse error, %s", why);
    leave_message(stream, READING_GARBAGE);
    return MESSAGE_STREAM_ERROR;
}

static MessageStreamResult take_delimiter(MessageStream *stream)
{
    leave_message(stream, READING_GAP);
    stream->delimiters++;
    stream->consumed++;
    return MESSAGE_STREAM_MORE;
}

static const char *tokener_complaint(enum json_tokener_error error)
{
    if (error == json_tokener_error_depth)
        return "nested deeper than " G_STRINGIFY(MESSAGE_STREAM_MAX_DEPTH) " levels";
    return json_tokener_error_desc(error);
}

/* Hands bytes to the tokener, at most up to the end of the message. False: it refused the byte at
 * *passed. */
static bool pass_on(MessageStream *stream, const void *bytes, size_t length, size_t *passed,
                    const char **why)
{
    *passed = length;
    if (length == 0 || stream->complete)
        return true;
    json_object *value = json_tokener_parse_ex(stream->tokener, bytes, (int)length);
    enum json_tokener_error error = json_tokener_get_error(stream->tokener);

    if (error == json_tokener_success) {
        stream->value = value;
        stream->complete = true;
    } else if (error != json_tokener_continue) {
        *passed = json_tokener_get_parse_end(stream->tokener);
        *why = tokener_complaint(error);
        return false;
    }
    return true;
}

static void begin_text(MessageStream *stream)
{
    Text *text = g_new(Text, 1);

    text->member = stream->lexer.members;
    text->bytes = g_byte_array_new();
    g_queue_push_tail(&stream->texts, text);
    stream->in_text = true;
}

/* A string with more in it than plain characters is the tokener's after all. */
static MessageStreamResult give_back_text(MessageStream *stream, GError **error)
{
    Text *text = g_queue_pop_tail(&stream->texts);
    const char *why = NULL;
    size_t passed = 0;
    bool accepted = pass_on(stream, text->bytes->data, text->bytes->len, &passed, &why);

    text_free(text);
    return accepted ? MESSAGE_STREAM_MORE : fail(stream, why, error);
}

/* Puts the texts where they belong; *number counts members as the lexer does. */
static void place_texts(MessageStream *stream, json_object *value, unsigned *number)
{
    if (json_object_is_type(value, json_type_object)) {
        struct json_object_iter member;
        json_object_object_foreachC(value, member)
        {
            const Text *text = g_queue_peek_head(&stream->texts);
            if (text == NULL)
                return;
            if (++*number == text->member) {
                json_object_set_string_len(member.val, (const char *)text->bytes->data,
                                           (int)text->bytes->len);
                text_free(g_queue_pop_head(&stream->texts));
            }
            place_texts(stream, member.val, number);
        }
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            place_texts(stream, json_object_array_get_idx(value, i), number);
    }
}

/* How many members the value has, at all depths; less than in the text when names were double. */
static unsigned count_members(json_object *value)
{
    unsigned count = 0;

    if (json_object_is_type(value, json_type_object)) {
        struct json_object_iter member;
        json_object_object_foreachC(value, member) count += 1 + count_members(member.val);
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            count += count_members(json_object_array_get_idx(value, i));
    }
    return count;
}

static MessageStreamResult end_message(MessageStream *stream, json_object **value, GError **error)
{
    size_t passed = 0;
    const char *why = "incomplete value";

    /* A number or word is complete for the tokener only when something follows it. */
    if (!pass_on(stream, " ", 1, &passed, &why) || !stream->complete)
        return fail(stream, why, error);
    if (count_members(stream->value) != stream->lexer.members) {
        fail(stream, "duplicate key", error);
        stream->reading = READING_GAP;
        return MESSAGE_STREAM_ERROR;
    }
    unsigned number = 0;
    place_texts(stream, stream->value, &number);
    *value = g_steal_pointer(&stream->value);
    leave_message(stream, READING_GAP);
    return MESSAGE_STREAM_VALUE;
}

static void consume(MessageStream *stream, size_t bytes)
{
    stream->consumed += bytes;
    stream->message_bytes += bytes;
}

static MessageStreamResult read_text(MessageStream *stream, const uint8_t *at, size_t length,
                                     GError **error)
{
    const Text *text = g_queue_peek_tail(&stream->texts);
    size_t run = json_lexer_plain_run(at, length);

    g_byte_array_append(text->bytes, at, (guint)run);
    consume(stream, run);
    if (run == length)
        return MESSAGE_STREAM_MORE;
    stream->in_text = false;
    return at[run] == '"' ? MESSAGE_STREAM_MORE : give_back_text(stream, error);
}

static MessageStreamResult read_message(MessageStream *stream, json_object **value, GError **error)
{
    const uint8_t *at = stream->input->data + stream->consumed;
    size_t room = MESSAGE_STREAM_MAX_BYTES - stream->message_bytes;
    size_t length = MIN(stream->input->len - stream->consumed, room);
    size_t used = 0, passed = 0;
    const char *why = NULL;

    if (length == 0)
        return fail(stream, "message longer than 64 MiB", error);
    if (stream->in_text)
        return read_text(stream, at, length, error);
    JsonLexerResult result = json_lexer_scan(&stream->lexer, at, length, &used);
    bool accepted = pass_on(stream, at, used, &passed, &why);
    consume(stream, passed);
    if (!accepted)
        return fail(stream, why, error);

    switch (result) {
    case JSON_LEXER_MORE:
        return MESSAGE_STREAM_MORE;
    case JSON_LEXER_END:
        return end_message(stream, value, error);
    case JSON_LEXER_REPLACE:
        if (!pass_on(stream, stream->lexer.instead, strlen(stream->lexer.instead), &passed, &why))
            return fail(stream, why, error);
        consume(stream, stream->lexer.skip);
        return MESSAGE_STREAM_MORE;
    case JSON_LEXER_TEXT:
        begin_text(stream);
        return MESSAGE_STREAM_MORE;
    case JSON_LEXER_DELIMITER:
        return take_delimiter(stream);
    default:
        return fail(stream, stream->lexer.error, error);
    }
}

static MessageStreamResult skip_garbage(MessageStream *stream)
{
    const uint8_t *bytes = stream->input->data;

    while (stream->consumed < stream->input->len) {
        uint8_t byte = bytes[stream->consumed];
        if (byte == 0xFF)
            return take_delimiter(stream);
        stream->consumed++;
        if (byte == '\n') {
            stream->reading = READING_GAP;
            break;
        }
    }
    return MESSAGE_STREAM_MORE;
}

static MessageStreamResult skip_gap(MessageStream *stream)
{
    const uint8_t *bytes = stream->input->data;

    while (stream->consumed < stream->input->len) {
        uint8_t byte = bytes[stream->consumed];
        if (byte == 0xFF)
            return take_delimiter(stream);
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') {
            stream->reading = READING_MESSAGE;
            stream->lexer = (JsonLexer){0};
            break;
        }
        stream->consumed++;
    }
    return MESSAGE_STREAM_MORE;
}

MessageStreamResult message_stream_next(MessageStream *stream, json_object **value, GError **error)
{
    MessageStreamResult result = MESSAGE_STREAM_MORE;

    *value = NULL;
    while (result == MESSAGE_STREAM_MORE && stream->consumed < stream->input->len) {
        if (stream->reading == READING_MESSAGE)
            result = read_message(stream, value, error);
        else
            result = stream->reading == READING_GAP ? skip_gap(stream) : skip_garbage(stream);
    }
    if (result == MESSAGE_STREAM_MORE)
        drop_input(stream);
    return result;
}
