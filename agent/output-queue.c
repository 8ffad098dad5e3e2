/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/output-queue.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* How many lines go out with one system call. */
#define LINES_PER_WRITE 64

/* A line of this size is worth a walk through the heap once it is gone. */
#define LARGE_LINE_BYTES (1024u * 1024)

struct OutputQueue {
    GQueue lines;  /* of GBytes */
    size_t offset; /* of the first line: written already */
    size_t length;
    bool mid_line; /* what the peer has so far ends within a line */
};

OutputQueue *output_queue_new(void)
{
    OutputQueue *queue = g_new0(OutputQueue, 1);
    g_queue_init(&queue->lines);
    return queue;
}

void output_queue_free(OutputQueue *queue)
{
    if (queue == NULL)
        return;
    output_queue_clear(queue);
    g_free(queue);
}

static void push(OutputQueue *queue, GBytes *bytes)
{
    queue->length += g_bytes_get_size(bytes);
    g_queue_push_tail(&queue->lines, bytes);
}

void output_queue_push(OutputQueue *queue, GBytes *line)
{
    if (queue->length == 0 && queue->mid_line)
        push(queue, g_bytes_new_static("\n", 1));
    push(queue, g_bytes_ref(line));
}

size_t output_queue_length(const OutputQueue *queue)
{
    return queue->length;
}

static void pop(OutputQueue *queue)
{
    GBytes *line = g_queue_pop_head(&queue->lines);
    bool large = g_bytes_get_size(line) >= LARGE_LINE_BYTES;
    g_bytes_unref(line);
    queue->offset = 0;
    if (large)
        malloc_trim(0);
}

static void consume(OutputQueue *queue, size_t count)
{
    queue->length -= count;
    count += queue->offset;
    while (!g_queue_is_empty(&queue->lines)) {
        size_t size = g_bytes_get_size(g_queue_peek_head(&queue->lines));
        if (count < size)
            break;
        count -= size;
        pop(queue);
    }
    queue->offset = count;
    queue->mid_line = count > 0;
}

/* sendmsg() where it works, because a broken socket then is an error and not a signal. */
static ssize_t write_vector(int fd, struct iovec *vector, int count)
{
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = (size_t)count};
    ssize_t written = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written < 0 && errno == ENOTSOCK)
        return writev(fd, vector, count);
    return written;
}

static int fill_vector(const OutputQueue *queue, struct iovec *vector)
{
    int count = 0;
    size_t offset = queue->offset;
    for (GList *item = queue->lines.head; item != NULL && count < LINES_PER_WRITE;
         item = item->next) {
        size_t size;
        const char *data = g_bytes_get_data(item->data, &size);
        vector[count].iov_base = (char *)data + offset;
        vector[count].iov_len = size - offset;
        offset = 0;
        count++;
    }
    return count;
}

OutputQueueResult output_queue_write(OutputQueue *queue, int fd, size_t *written, GError **error)
{
    *written = 0;
    while (queue->length > 0) {
        struct iovec vector[LINES_PER_WRITE];
        ssize_t count = write_vector(fd, vector, fill_vector(queue, vector));
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0 || (count < 0 && errno == EAGAIN))
            return OUTPUT_QUEUE_BLOCKED;
        if (count < 0) {
            int code = errno;
            g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "%s", g_strerror(code));
            return OUTPUT_QUEUE_FAILED;
        }
        consume(queue, (size_t)count);
        *written += (size_t)count;
    }
    return OUTPUT_QUEUE_EMPTY;
}

void output_queue_clear(OutputQueue *queue)
{
    output_queue_abandon(queue);
    queue->mid_line = false;
}

void output_queue_abandon(OutputQueue *queue)
{
    g_queue_clear_full(&queue->lines, (GDestroyNotify)g_bytes_unref);
    queue->offset = 0;
    queue->length = 0;
}
