/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/client.h"

#include "protocol/json-writer.h"
#include "protocol/message-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_CHUNK_BYTES (64u * 1024)

struct Client {
    int fd;
    int interrupt_fd;
    bool is_socket;
    bool out_of_step; /* a reply may be on its way that no call waits for */
    char *name;
    MessageStream *stream;
};

/* Microseconds of g_get_monotonic_time(), with the span it was made from for the error. */
typedef struct {
    int64_t at_us; /* negative: none */
    int64_t timeout_ms;
} Deadline;

G_DEFINE_QUARK(client_error, client_error)

static Deadline deadline_in(int64_t timeout_ms)
{
    if (timeout_ms < 0 || timeout_ms > G_MAXINT64 / 2000)
        return (Deadline){.at_us = -1, .timeout_ms = -1};
    return (Deadline){.at_us = g_get_monotonic_time() + timeout_ms * 1000,
                      .timeout_ms = timeout_ms};
}

/* In milliseconds for poll(), rounded up so that it never spins; -1 for no deadline. */
static int deadline_left(const Deadline *deadline)
{
    if (deadline->at_us < 0)
        return -1;
    int64_t left_us = deadline->at_us - g_get_monotonic_time();
    return (int)CLAMP((left_us + 999) / 1000, 0, INT_MAX);
}

Client *client_new(int fd, const char *name)
{
    Client *client = g_new0(Client, 1);
    struct stat status;

    client->fd = fd;
    client->interrupt_fd = -1;
    client->name = g_strdup(name);
    client->stream = message_stream_new();
    client->is_socket = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    return client;
}

void client_free(Client *client)
{
    if (client == NULL)
        return;
    close(client->fd);
    message_stream_free(client->stream);
    g_free(client->name);
    g_free(client);
}

void client_set_interrupt_fd(Client *client, int interrupt_fd)
{
    client->interrupt_fd = interrupt_fd;
}

static Client *connect_to(int fd, const struct sockaddr *address, socklen_t length,
                          const char *name, const char *remedy, GError **error)
{
    if (fd < 0 || connect(fd, address, length) < 0) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED, "cannot connect to %s: %s; %s", name,
                    cause == EAGAIN ? "somebody else is connected and others wait"
                                    : g_strerror(cause),
                    remedy);
        return NULL;
    }
    return client_new(fd, name);
}

Client *client_connect_unix(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED,
                    "cannot connect to %s: a socket's path has at most %zu bytes; "
                    "use a symbolic link to its directory",
                    path, sizeof address.sun_path - 1);
        return NULL;
    }
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    /* A blocking connect() would wait for as long as the listener's queue is full. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect_to(fd, (struct sockaddr *)&address, sizeof address, path,
                      "is the virtual machine running with the agent's socket there, "
                      "and is this user allowed to open it?",
                      error);
}

Client *client_connect_vsock(uint32_t cid, uint32_t port, GError **error)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    g_autofree char *name = g_strdup_printf("vsock:%u:%u", cid, port);

    /* Blocks, but the kernel gives up after two seconds: vsock(7), SO_VM_SOCKETS_CONNECT_TIMEOUT.
     */
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect_to(fd, (struct sockaddr *)&address, sizeof address, name,
                      "is the agent running in the guest with -m vsock-listen?", error);
}

static bool wait_for(Client *client, short events, const Deadline *deadline, GError **error)
{
    struct pollfd fds[] = {{.fd = client->fd, .events = events},
                           {.fd = client->interrupt_fd, .events = POLLIN}};

    for (;;) {
        int ready = poll(fds, G_N_ELEMENTS(fds), deadline_left(deadline));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready > 0 && fds[1].revents != 0) {
            g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_INTERRUPTED,
                        "interrupted while talking to the agent at %s", client->name);
            return false;
        }
        if (ready > 0)
            return true;
        if (ready == 0) {
            g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT,
                        "the agent at %s did not answer within %" G_GINT64_FORMAT " ms",
                        client->name, deadline->timeout_ms);
            return false;
        }
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED, "cannot wait for %s: %s",
                    client->name, g_strerror(errno));
        return false;
    }
}

static bool send_bytes(Client *client, const char *bytes, size_t length, const Deadline *deadline,
                       GError **error)
{
    while (length > 0) {
        ssize_t sent = client->is_socket ? send(client->fd, bytes, length, MSG_NOSIGNAL)
                                         : write(client->fd, bytes, length);
        if (sent >= 0) {
            bytes += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN) {
            if (!wait_for(client, POLLOUT, deadline, error))
                return false;
        } else if (errno != EINTR) {
            g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED,
                        "cannot send to the agent at %s: %s", client->name, g_strerror(errno));
            return false;
        }
    }
    return true;
}

static bool send_request(Client *client, const char *prefix, const char *command,
                         json_object *arguments, const Deadline *deadline, GError **error)
{
    g_autoptr(JsonWriter) writer = json_writer_new();
    size_t length = 0;

    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "execute", command);
    if (arguments != NULL)
        json_writer_value(writer, "arguments", arguments);
    json_writer_end_object(writer);

    const char *text = json_writer_text(writer, &length);
    return send_bytes(client, prefix, strlen(prefix), deadline, error) &&
           send_bytes(client, text, length, deadline, error) &&
           send_bytes(client, "\n", 1, deadline, error);
}

static bool receive_bytes(Client *client, const Deadline *deadline, GError **error)
{
    char chunk[READ_CHUNK_BYTES];

    if (!wait_for(client, POLLIN, deadline, error))
        return false;
    ssize_t got = read(client->fd, chunk, sizeof chunk);
    if (got > 0) {
        message_stream_feed(client->stream, chunk, (size_t)got);
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED, "the agent at %s %s", client->name,
                got == 0 ? "closed the connection" : g_strerror(errno));
    return false;
}

/* The next value, waiting for input as needed. */
static bool receive_value(Client *client, json_object **value, const Deadline *deadline,
                          GError **error)
{
    for (;;) {
        g_autoptr(GError) garbage = NULL;
        switch (message_stream_next(client->stream, value, &garbage)) {
        case MESSAGE_STREAM_VALUE:
            return true;
        case MESSAGE_STREAM_ERROR:
            g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_GARBAGE,
                        "what came from %s is no reply of a guest agent: %s", client->name,
                        garbage->message);
            return false;
        case MESSAGE_STREAM_MORE:
            if (!receive_bytes(client, deadline, error))
                return false;
        }
    }
}

static json_object *reply_value(Client *client, json_object *reply, GError **error)
{
    json_object *member = NULL, *class = NULL, *desc = NULL;

    if (json_object_object_get_ex(reply, "return", &member))
        return json_object_get(member);
    if (json_object_object_get_ex(reply, "error", &member)) {
        json_object_object_get_ex(member, "class", &class);
        json_object_object_get_ex(member, "desc", &desc);
        bool not_found = g_strcmp0(json_object_get_string(class), "CommandNotFound") == 0;
        g_set_error_literal(error, CLIENT_ERROR,
                            not_found ? CLIENT_ERROR_COMMAND_NOT_FOUND : CLIENT_ERROR_REPLY,
                            desc != NULL ? json_object_get_string(desc)
                                         : "the agent gave an error without a description");
        return NULL;
    }
    client->out_of_step = true;
    g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_GARBAGE,
                "what came from %s is no reply of a guest agent", client->name);
    return NULL;
}

static bool sync_by(Client *client, const Deadline *deadline, GError **error)
{
    int64_t id = ((int64_t)g_random_int() << 20) ^ g_random_int();
    json_object *arguments = json_object_new_object();
    unsigned delimiters = message_stream_delimiters(client->stream);

    client->out_of_step = true;
    json_object_object_add(arguments, "id", json_object_new_int64(id));
    bool sent = send_request(client, "\xFF", "guest-sync-delimited", arguments, deadline, error);
    json_object_put(arguments);
    while (sent) {
        json_object *reply = NULL, *got = NULL;
        g_autoptr(GError) problem = NULL;
        if (!receive_value(client, &reply, deadline, &problem)) {
            if (g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_GARBAGE))
                continue;
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        bool found = message_stream_delimiters(client->stream) != delimiters &&
                     json_object_object_get_ex(reply, "return", &got) &&
                     json_object_get_int64(got) == id;
        json_object_put(reply);
        if (found) {
            client->out_of_step = false;
            return true;
        }
    }
    return false;
}

bool client_sync(Client *client, int64_t timeout_ms, GError **error)
{
    Deadline deadline = deadline_in(timeout_ms);

    return sync_by(client, &deadline, error);
}

json_object *client_call(Client *client, const char *command, json_object *arguments,
                         int64_t timeout_ms, GError **error)
{
    Deadline deadline = deadline_in(timeout_ms);
    json_object *reply = NULL;

    if (client->out_of_step && !sync_by(client, &deadline, error))
        return NULL;
    client->out_of_step = true;
    if (!send_request(client, "", command, arguments, &deadline, error) ||
        !receive_value(client, &reply, &deadline, error))
        return NULL;
    client->out_of_step = false;
    json_object *value = reply_value(client, reply, error);
    json_object_put(reply);
    return value;
}

bool client_send(Client *client, const char *command, json_object *arguments, int64_t timeout_ms,
                 GError **error)
{
    Deadline deadline = deadline_in(timeout_ms);

    client->out_of_step = true;
    return send_request(client, "", command, arguments, &deadline, error);
}
