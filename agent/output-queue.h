/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Reply lines on their way into a non-blocking descriptor. What the descriptor does not take stays
 * here, uncopied, and is let go as soon as its last byte is written.
 */
typedef struct OutputQueue OutputQueue;

typedef enum {
    OUTPUT_QUEUE_EMPTY,   /* everything is written */
    OUTPUT_QUEUE_BLOCKED, /* the descriptor takes no more for now */
    OUTPUT_QUEUE_FAILED,  /* it never will: see the error */
} OutputQueueResult;

OutputQueue *output_queue_new(void);
void output_queue_free(OutputQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputQueue, output_queue_free)

/* Takes a reference to a line that ends with a newline. */
void output_queue_push(OutputQueue *queue, GBytes *line);

/* Bytes not written yet. */
size_t output_queue_length(const OutputQueue *queue);

/* Writes as much as fd takes. *written is how many bytes that was, also on failure. */
OutputQueueResult output_queue_write(OutputQueue *queue, int fd, size_t *written, GError **error);

/* Forgets everything: the peer is gone, and with it what it has half read. */
void output_queue_clear(OutputQueue *queue);

/* Gives up what is pending while the peer stays. If that cuts a line in two, the next one pushed is
 * preceded by a newline, so that only the cut line is garbage to the peer. */
void output_queue_abandon(OutputQueue *queue);
