/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * JSON values out of a byte stream, for both ends of the wire.
 *
 * Values need no newline between them and may be split at any byte; strings may stand in single
 * quotes. Byte 0xFF drops what is buffered and starts afresh, silently. After text that is not
 * JSON (json-lexer.h tells what that means) one error is reported and reading resumes after the
 * next newline or 0xFF.
 *
 * A message longer than MESSAGE_STREAM_MAX_BYTES, nested deeper than MESSAGE_STREAM_MAX_DEPTH or
 * with more than JSON_LEXER_MAX_VALUES values is one error too, and is discarded as it comes. An
 * object with two members of one name is one error and is discarded alone.
 *
 * Integers are exact: json-c's integer where it fits 64 bits, signed or unsigned, else a double.
 */
#define MESSAGE_STREAM_MAX_BYTES (64u * 1024 * 1024)
#define MESSAGE_STREAM_MAX_DEPTH 64

typedef struct MessageStream MessageStream;

typedef enum {
    MESSAGE_STREAM_MORE,  /* everything fed has been consumed: feed more bytes */
    MESSAGE_STREAM_VALUE, /* *value is the next JSON value; the caller owns it */
    MESSAGE_STREAM_ERROR, /* *error tells what was wrong with the input; reading goes on */
} MessageStreamResult;

MessageStream *message_stream_new(void);
void message_stream_free(MessageStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MessageStream, message_stream_free)

/*
 * Hands over bytes read from the peer; they are copied. Feed only after message_stream_next()
 * returned MESSAGE_STREAM_MORE, so that a slow consumer holds back the peer and not our memory.
 */
void message_stream_feed(MessageStream *stream, const void *bytes, size_t length);

/*
 * The next value, error, or the wish for more input. A JSON null comes as MESSAGE_STREAM_VALUE
 * with *value == NULL (json-c's form of null).
 */
MessageStreamResult message_stream_next(MessageStream *stream, json_object **value, GError **error);

/* Forgets partial input, as after a reconnect of the peer. */
void message_stream_reset(MessageStream *stream);

/* True when no partial message is buffered. */
bool message_stream_is_empty(const MessageStream *stream);

/* How many 0xFF bytes have been read since the stream was made: a change tells that the peer began
 * afresh. */
unsigned message_stream_delimiters(const MessageStream *stream);
