/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/nbd-connection.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Servers need not take more in one request: the NBD protocol promises 32 MiB. */
#define CHUNK_BYTES (1u * 1024 * 1024)

struct NbdConnection {
    struct nbd_handle *nbd;
    int64_t timeout_ms;
    int interrupt_fd;
    uint64_t size;
    uint64_t block_bytes; /* requests start and end at multiples of it, except at the end */
    unsigned char *chunk; /* of CHUNK_BYTES; the last reply may go there after a timeout */
    bool broken;
};

static bool fail(NbdConnection *connection, GError **error, const char *attempt, const char *cause)
{
    connection->broken = true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "%s: %s", attempt, cause);
    return false;
}

static const char *nbd_cause(void)
{
    const char *cause = nbd_get_error();

    return cause ? cause : "the server ended the connection";
}

static bool notify(NbdConnection *connection, unsigned direction, short events)
{
    bool readable = (events & (POLLIN | POLLHUP | POLLERR)) != 0;

    if (readable && (direction & LIBNBD_AIO_DIRECTION_READ) != 0)
        return nbd_aio_notify_read(connection->nbd) == 0;
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        return nbd_aio_notify_write(connection->nbd) == 0;
    return true;
}

/* Lets the connection go on by one step, once its socket is ready. */
static bool step(NbdConnection *connection, const char *attempt, int64_t deadline_us,
                 GError **error)
{
    unsigned direction = nbd_aio_get_direction(connection->nbd);
    struct pollfd fds[] = {
        {.fd = nbd_aio_get_fd(connection->nbd)},
        {.fd = connection->interrupt_fd, .events = POLLIN},
    };

    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0)
        fds[0].events |= POLLIN;
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0)
        fds[0].events |= POLLOUT;
    int64_t left_us = deadline_us - g_get_monotonic_time();
    if (left_us <= 0)
        return fail(connection, error, attempt, "the NBD server does not answer in time");
    int ready = poll(fds, G_N_ELEMENTS(fds), (int)MIN((left_us + 999) / 1000, G_MAXINT));
    if (ready < 0 && errno != EINTR)
        return fail(connection, error, attempt, g_strerror(errno));
    if (ready > 0 && fds[1].revents != 0)
        return fail(connection, error, attempt, "interrupted");
    if (ready > 0 && fds[0].revents != 0 && !notify(connection, direction, fds[0].revents))
        return fail(connection, error, attempt, nbd_cause());
    return true;
}

static bool negotiate(NbdConnection *connection, GError **error)
{
    const char *attempt = "cannot connect";
    int64_t deadline_us = g_get_monotonic_time() + connection->timeout_ms * 1000;

    while (nbd_aio_is_ready(connection->nbd) == 0) {
        if (nbd_aio_is_dead(connection->nbd) != 0 || nbd_aio_is_closed(connection->nbd) != 0)
            return fail(connection, error, attempt, nbd_cause());
        if (!step(connection, attempt, deadline_us, error))
            return false;
    }
    int64_t size = nbd_get_size(connection->nbd);
    int64_t block_bytes = nbd_get_block_size(connection->nbd, LIBNBD_SIZE_MINIMUM);
    if (size < 0)
        return fail(connection, error, attempt, nbd_cause());
    connection->size = (uint64_t)size;
    connection->block_bytes = block_bytes > 0 ? (uint64_t)block_bytes : 1;
    if (connection->block_bytes > CHUNK_BYTES / 2)
        return fail(connection, error, attempt, "the server wants requests larger than 512 KiB");
    return true;
}

static NbdConnection *new_connection(int64_t timeout_ms, int interrupt_fd, GError **error)
{
    g_autoptr(NbdConnection) connection = g_new0(NbdConnection, 1);

    connection->timeout_ms = timeout_ms;
    connection->interrupt_fd = interrupt_fd;
    connection->chunk = g_malloc(CHUNK_BYTES);
    connection->nbd = nbd_create();
    if (!connection->nbd) {
        fail(connection, error, "cannot use libnbd", nbd_cause());
        return NULL;
    }
    return g_steal_pointer(&connection);
}

NbdConnection *nbd_connection_open_uri(const char *uri, int64_t timeout_ms, int interrupt_fd,
                                       GError **error)
{
    g_autoptr(NbdConnection) connection = new_connection(timeout_ms, interrupt_fd, error);

    if (!connection)
        return NULL;
    /* The address comes from the command line: files it names (tls-psk-file) are the caller's. */
    if (nbd_set_uri_allow_local_file(connection->nbd, true) < 0 ||
        nbd_aio_connect_uri(connection->nbd, uri) < 0) {
        fail(connection, error, "cannot connect", nbd_cause());
        return NULL;
    }
    return negotiate(connection, error) ? g_steal_pointer(&connection) : NULL;
}

NbdConnection *nbd_connection_open_socket(int socket_fd, const char *export_name,
                                          int64_t timeout_ms, int interrupt_fd, GError **error)
{
    g_autoptr(NbdConnection) connection = new_connection(timeout_ms, interrupt_fd, error);

    if (!connection || nbd_set_export_name(connection->nbd, export_name) < 0) {
        close(socket_fd);
        if (connection)
            fail(connection, error, "cannot connect", nbd_cause());
        return NULL;
    }
    if (nbd_aio_connect_socket(connection->nbd, socket_fd) < 0) {
        fail(connection, error, "cannot connect", nbd_cause());
        return NULL;
    }
    return negotiate(connection, error) ? g_steal_pointer(&connection) : NULL;
}

void nbd_connection_free(NbdConnection *connection)
{
    /* Servers log a disconnect that was not announced. It is not waited for. */
    if (connection->nbd && !connection->broken && nbd_aio_is_ready(connection->nbd) > 0)
        nbd_aio_disconnect(connection->nbd, 0);
    nbd_close(connection->nbd);
    g_free(connection->chunk);
    g_free(connection);
}

bool nbd_connection_is_uri(const char *address)
{
    static const char *const schemes[] = {"nbd://",       "nbds://",      "nbd+unix://",
                                          "nbds+unix://", "nbd+vsock://", "nbds+vsock://"};

    for (unsigned i = 0; i < G_N_ELEMENTS(schemes); i++) {
        if (g_ascii_strncasecmp(address, schemes[i], strlen(schemes[i])) == 0)
            return true;
    }
    return false;
}

uint64_t nbd_connection_size(const NbdConnection *connection)
{
    return connection->size;
}

/* At most a chunk, into connection->chunk. */
static bool read_chunk(NbdConnection *connection, uint64_t offset, size_t length,
                       int64_t deadline_us, GError **error)
{
    g_autofree char *attempt =
        g_strdup_printf("cannot read %zu bytes at %" G_GUINT64_FORMAT, length, offset);

    if (connection->broken)
        return fail(connection, error, attempt, "the connection was given up before");
    int64_t cookie =
        nbd_aio_pread(connection->nbd, connection->chunk, length, offset, NBD_NULL_COMPLETION, 0);
    if (cookie < 0)
        return fail(connection, error, attempt, nbd_cause());
    for (;;) {
        int done = nbd_aio_command_completed(connection->nbd, (uint64_t)cookie);
        if (done > 0)
            return true;
        if (done < 0) {
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "%s: %s", attempt, nbd_cause());
            return false;
        }
        if (!step(connection, attempt, deadline_us, error))
            return false;
    }
}

bool nbd_connection_read(NbdConnection *connection, uint64_t offset, void *buffer, size_t length,
                         GError **error)
{
    int64_t deadline_us = g_get_monotonic_time() + connection->timeout_ms * 1000;
    char *to = buffer;

    while (length > 0) {
        size_t skip = (size_t)(offset % connection->block_bytes);
        size_t piece = MIN(length, CHUNK_BYTES - connection->block_bytes - skip);
        uint64_t start = offset - skip;
        uint64_t end = offset + piece;
        uint64_t rest = end % connection->block_bytes;
        if (rest > 0)
            end = MIN(end + connection->block_bytes - rest, connection->size);
        if (!read_chunk(connection, start, (size_t)(end - start), deadline_us, error))
            return false;
        memcpy(to, connection->chunk + skip, piece);
        to += piece;
        offset += piece;
        length -= piece;
    }
    return true;
}
