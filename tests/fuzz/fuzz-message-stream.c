/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/message-stream.h"

#include <stdint.h>
#include <string.h>

/*
 * The input's first four bytes say how the rest is split; what comes out must not depend on it.
 */
#define SEED_BYTES 4

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static void drain(MessageStream *stream, GString *said)
{
    MessageStreamResult result;

    do {
        g_autoptr(GError) error = NULL;
        json_object *value = NULL;
        result = message_stream_next(stream, &value, &error);
        g_assert((result == MESSAGE_STREAM_ERROR) == (error != NULL));
        if (result == MESSAGE_STREAM_VALUE)
            g_string_append_printf(said, "value %s\n",
                                   value ? json_object_to_json_string(value) : "null");
        else if (result == MESSAGE_STREAM_ERROR)
            g_string_append_printf(said, "error %s\n", error->message);
        json_object_put(value);
    } while (result != MESSAGE_STREAM_MORE);
}

/* state 0: not split at all; else up to 16 bytes at a time, by a xorshift generator. */
static char *read_split(const uint8_t *input, size_t length, uint32_t state)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    GString *said = g_string_new(NULL);

    while (length > 0) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        size_t part = state == 0 ? length : MIN(length, 1 + state % 16);
        /* Exactly as much memory as is fed, so that ASan sees a read beyond it. */
        g_autofree uint8_t *bytes = g_memdup2(input, part);
        message_stream_feed(stream, bytes, part);
        drain(stream, said);
        input += part;
        length -= part;
    }
    g_string_append_printf(said, "%u delimiters, %s\n", message_stream_delimiters(stream),
                           message_stream_is_empty(stream) ? "empty" : "partial");
    return g_string_free(said, FALSE);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    uint32_t seed;

    if (length < SEED_BYTES)
        return 0;
    memcpy(&seed, input, SEED_BYTES);
    g_autofree char *whole = read_split(input + SEED_BYTES, length - SEED_BYTES, 0);
    g_autofree char *split = read_split(input + SEED_BYTES, length - SEED_BYTES, seed | 1);
    if (strcmp(whole, split) != 0)
        g_error("in one piece:\n%sin parts:\n%s", whole, split);
    return 0;
}
