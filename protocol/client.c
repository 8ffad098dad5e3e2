/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/client.h"

#include "protocol/excerpt.h"
#include "protocol/json-writer.h"
#include "protocol/message-stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_CHUNK_BYTES (64u * 1024)

struct Client {
    int fd;
    int interrupt_fd;
    bool is_socket;
    bool out_of_step; /* what comes may be no answer to what was asked last */
    bool cut_off;     /* the agent may have got part of a request */
    char *name;
    MessageStream *stream;
};

typedef struct {
    int64_t at_us; /* of g_get_monotonic_time(); negative: none */
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

/* For poll(): milliseconds, rounded up so that it never spins; -1 for no deadline. */
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

static bool fail_closed(Client *client, const char *what, int cause, GError **error)
{
    g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED, "cannot %s the agent at %s: %s", what,
                client->name, g_strerror(cause));
    return false;
}

/* Waits until one of the events can be had. A peer that never stops talking gains no time. */
static bool wait_for(Client *client, short events, const Deadline *deadline, GError **error)
{
    struct pollfd fds[] = {{.fd = client->fd, .events = events},
                           {.fd = client->interrupt_fd, .events = POLLIN}};
    int ready = 0;

    while (ready == 0 && deadline_left(deadline) != 0) {
        ready = poll(fds, G_N_ELEMENTS(fds), deadline_left(deadline));
        if (ready < 0 && errno == EINTR)
            ready = 0;
    }
    if (ready < 0)
        return fail_closed(client, "wait for", errno, error);
    if (ready > 0 && fds[1].revents == 0)
        return true;
    if (ready > 0)
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_INTERRUPTED,
                    "interrupted while waiting for the agent at %s", client->name);
    else
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT,
                    "the agent at %s did not answer within %" G_GINT64_FORMAT " ms", client->name,
                    deadline->timeout_ms);
    return false;
}

/* Reads once. *length is 0 when there was nothing to read after all. */
static bool read_chunk(Client *client, void *chunk, size_t *length, GError **error)
{
    ssize_t got = read(client->fd, chunk, READ_CHUNK_BYTES);

    *length = got > 0 ? (size_t)got : 0;
    if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
        return true;
    if (got < 0)
        return fail_closed(client, "read from", errno, error);
    g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED, "the agent at %s closed the connection",
                client->name);
    return false;
}

/* Waits for room to send. With discard_input what the peer sends meanwhile is thrown away: it may
 * be waiting for that itself before it reads on. */
static bool wait_to_send(Client *client, bool discard_input, const Deadline *deadline,
                         GError **error)
{
    char chunk[READ_CHUNK_BYTES];
    size_t length = 0;

    if (!discard_input)
        return wait_for(client, POLLOUT, deadline, error);
    return wait_for(client, POLLOUT | POLLIN, deadline, error) &&
           read_chunk(client, chunk, &length, error);
}

/* parts is used up. */
static bool send_parts(Client *client, struct iovec *parts, size_t count, bool discard_input,
                       const Deadline *deadline, GError **error)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = client->is_socket ? sendmsg(client->fd, &message, MSG_NOSIGNAL)
                                         : writev(client->fd, parts, (int)count);
        if (sent < 0 && errno == EAGAIN) {
            if (!wait_to_send(client, discard_input, deadline, error))
                return false;
        } else if (sent < 0 && errno != EINTR) {
            return fail_closed(client, "send to", errno, error);
        }
        size_t gone = sent > 0 ? (size_t)sent : 0;
        for (; count > 0 && gone >= parts->iov_len; parts++, count--)
            gone -= parts->iov_len;
        if (count > 0)
            *parts = (struct iovec){(char *)parts->iov_base + gone, parts->iov_len - gone};
    }
    return true;
}

static bool send_request(Client *client, bool sync, const char *command, json_object *arguments,
                         const Deadline *deadline, GError **error)
{
    g_autoptr(JsonWriter) writer = json_writer_new();
    size_t length = 0;

    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "execute", command);
    if (arguments != NULL)
        json_writer_value(writer, "arguments", arguments);
    json_writer_end_object(writer);

    const char *text = json_writer_text(writer, &length);
    struct iovec parts[] = {
        /* Drops what the agent has of a request that we or an earlier user did not finish. */
        {.iov_base = (char[]){(char)0xFF}, .iov_len = sync || client->cut_off ? 1 : 0},
        {.iov_base = (char *)text, .iov_len = length},
        {.iov_base = (char[]){'\n'}, .iov_len = 1},
    };
    client->out_of_step = true;
    client->cut_off = true;
    if (!send_parts(client, parts, G_N_ELEMENTS(parts), sync, deadline, error))
        return false;
    client->cut_off = false;
    return true;
}

/* The next value, waiting for input as needed. */
static bool receive_value(Client *client, json_object **value, const Deadline *deadline,
                          GError **error)
{
    char chunk[READ_CHUNK_BYTES];
    size_t length = 0;

    for (;;) {
        g_autoptr(GError) problem = NULL;
        MessageStreamResult result = message_stream_next(client->stream, value, &problem);
        if (result == MESSAGE_STREAM_VALUE)
            return true;
        if (result == MESSAGE_STREAM_ERROR) {
            g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_GARBAGE,
                        "what comes from %s is no guest agent's reply: %s", client->name,
                        problem->message);
            return false;
        }
        if (!wait_for(client, POLLIN, deadline, error) ||
            !read_chunk(client, chunk, &length, error))
            return false;
        message_stream_feed(client->stream, chunk, length);
    }
}

static char *member_text(json_object *object, const char *name)
{
    json_object *member = NULL;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_string))
        return g_strdup("(none given)");
    return excerpt_new(json_object_get_string(member), (size_t)json_object_get_string_len(member),
                       EXCERPT_SENTENCE_CHARACTERS);
}

/* Takes a reply apart: the value of "return", borrowed, or what is wrong as an error. */
static bool open_reply(Client *client, json_object *reply, json_object **value, GError **error)
{
    json_object *problem = NULL;

    if (json_object_object_get_ex(reply, "return", value))
        return true;
    if (json_object_object_get_ex(reply, "error", &problem)) {
        g_autofree char *class = member_text(problem, "class");
        g_autofree char *description = member_text(problem, "desc");
        g_set_error_literal(error, CLIENT_ERROR,
                            g_str_equal(class, "CommandNotFound") ? CLIENT_ERROR_COMMAND_NOT_FOUND
                                                                  : CLIENT_ERROR_REPLY,
                            description);
    } else if (json_object_object_get_ex(reply, "QMP", NULL)) {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_NO_AGENT,
                    "%s is a QMP socket of QEMU; the guest agent has a socket of its own",
                    client->name);
    } else {
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_GARBAGE,
                    "what comes from %s is no guest agent's reply: neither return nor error",
                    client->name);
    }
    return false;
}

/* Reads one reply; *found tells whether it is the one with our id. */
static bool read_sync_reply(Client *client, int64_t id, const Deadline *deadline, bool *found,
                            GError **error)
{
    json_object *reply = NULL, *value = NULL;

    if (!receive_value(client, &reply, deadline, error))
        return false;
    bool is_return = open_reply(client, reply, &value, error);
    *found = is_return && json_object_is_type(value, json_type_int) &&
             json_object_get_int64(value) == id;
    json_object_put(reply);
    return is_return;
}

/* Late replies, errors and garbage of an earlier conversation may come before the reply to sync. */
static bool may_be_late(const GError *error)
{
    return g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_GARBAGE) ||
           g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_COMMAND_NOT_FOUND) ||
           g_error_matches(error, CLIENT_ERROR, CLIENT_ERROR_REPLY);
}

/* Reads up to the reply with our id. *late is the last error among what came before it. */
static bool await_sync(Client *client, int64_t id, const Deadline *deadline, GError **late,
                       GError **error)
{
    for (bool found = false; !found;) {
        g_autoptr(GError) problem = NULL;
        if (read_sync_reply(client, id, deadline, &found, &problem))
            continue;
        if (!may_be_late(problem)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        g_clear_error(late);
        *late = g_steal_pointer(&problem);
    }
    return true;
}

static bool sync_by(Client *client, const Deadline *deadline, GError **error)
{
    /* 52 bits: no chance hits, and exact also for an agent that counts in doubles. */
    int64_t id = (int64_t)g_random_int() << 20 | (g_random_int() & 0xFFFFF);
    json_object *arguments = json_object_new_object();
    g_autoptr(GError) problem = NULL;
    g_autoptr(GError) late = NULL;

    json_object_object_add(arguments, "id", json_object_new_int64(id));
    /* All that came before is of the past. */
    message_stream_reset(client->stream);
    client->out_of_step =
        !send_request(client, true, "guest-sync-delimited", arguments, deadline, &problem) ||
        !await_sync(client, id, deadline, &late, &problem);
    json_object_put(arguments);
    if (!client->out_of_step)
        return true;
    if (late != NULL)
        g_set_error(error, problem->domain, problem->code, "%s; what came instead: %s",
                    problem->message, late->message);
    else
        g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

bool client_sync(Client *client, int64_t timeout_ms, GError **error)
{
    Deadline deadline = deadline_in(timeout_ms);

    return sync_by(client, &deadline, error);
}

/* Input that no call waits for makes the next reply doubtful. */
static bool has_unread_input(Client *client)
{
    struct pollfd fd = {.fd = client->fd, .events = POLLIN};
    json_object *value = NULL;
    bool unread = message_stream_next(client->stream, &value, NULL) != MESSAGE_STREAM_MORE ||
                  !message_stream_is_empty(client->stream) || poll(&fd, 1, 0) > 0;

    json_object_put(value);
    return unread;
}

static bool call_by(Client *client, const char *command, json_object *arguments,
                    const Deadline *deadline, json_object **reply, GError **error)
{
    if ((client->out_of_step || has_unread_input(client)) && !sync_by(client, deadline, error))
        return false;
    return send_request(client, false, command, arguments, deadline, error) &&
           receive_value(client, reply, deadline, error);
}

json_object *client_call(Client *client, const char *command, json_object *arguments,
                         int64_t timeout_ms, GError **error)
{
    Deadline deadline = deadline_in(timeout_ms);
    json_object *reply = NULL, *value = NULL;
    g_autoptr(GError) problem = NULL;

    if (!call_by(client, command, arguments, &deadline, &reply, error)) {
        g_prefix_error(error, "%s: ", command);
        return NULL;
    }
    if (open_reply(client, reply, &value, &problem))
        json_object_get(value);
    client->out_of_step = g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_GARBAGE) ||
                          g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_NO_AGENT);
    json_object_put(reply);
    if (problem != NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    return value;
}

bool client_send(Client *client, const char *command, json_object *arguments, int64_t timeout_ms,
                 GError **error)
{
    Deadline deadline = deadline_in(timeout_ms);

    if (send_request(client, false, command, arguments, &deadline, error))
        return true;
    g_prefix_error(error, "%s: ", command);
    return false;
}
