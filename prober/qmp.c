/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/qmp.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"
#include "protocol/message-stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define QMP_CHUNK_BYTES (64u * 1024)

struct Qmp {
    int fd;
    int interrupt_fd;
    char *path;
    bool broken;
    int64_t last_id;
    MessageStream *stream;
};

static bool fail(Qmp *qmp, GError **error, const char *text)
{
    qmp->broken = true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP, "QMP at %s: %s", qmp->path, text);
    return false;
}

static int connect_unix(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int cause = ENAMETOOLONG;
    int fd = -1;

    if (strlen(path) < sizeof address.sun_path) {
        g_strlcpy(address.sun_path, path, sizeof address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        cause = errno;
    }
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP, "cannot connect to QMP at %s: %s", path,
                cause == EAGAIN ? "somebody else is connected" : g_strerror(cause));
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Waits at most until deadline_us (of the monotonic clock), however much the peer sends. */
static bool wait_for(Qmp *qmp, short events, int64_t deadline_us, GError **error)
{
    struct pollfd fds[] = {{.fd = qmp->fd, .events = events},
                           {.fd = qmp->interrupt_fd, .events = POLLIN}};

    for (;;) {
        int64_t left_us = deadline_us - g_get_monotonic_time();
        if (left_us <= 0)
            return fail(qmp, error, "no answer in time (is somebody else connected?)");
        int ready = poll(fds, G_N_ELEMENTS(fds), (int)MIN((left_us + 999) / 1000, G_MAXINT));
        if (ready < 0 && errno != EINTR)
            return fail(qmp, error, g_strerror(errno));
        if (ready > 0 && fds[1].revents != 0) {
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP, "QMP at %s: interrupted", qmp->path);
            return false;
        }
        if (ready > 0)
            return true;
    }
}

/* passed_fd goes along with the first byte; -1: none. */
static ssize_t send_some(Qmp *qmp, const char *text, size_t length, int passed_fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec piece = {.iov_base = (char *)text, .iov_len = length};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (passed_fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed_fd, sizeof passed_fd);
    }
    return sendmsg(qmp->fd, &message, MSG_NOSIGNAL);
}

static bool send_all(Qmp *qmp, const char *text, int passed_fd, int64_t deadline_us, GError **error)
{
    size_t length = strlen(text);
    size_t done = 0;

    while (done < length) {
        ssize_t sent = send_some(qmp, text + done, length - done, done == 0 ? passed_fd : -1);
        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno == EAGAIN) {
            if (!wait_for(qmp, POLLOUT, deadline_us, error)) {
                /* Half a request cannot be taken back. */
                qmp->broken = qmp->broken || done > 0;
                return false;
            }
        } else if (errno != EINTR) {
            return fail(qmp, error, g_strerror(errno));
        }
    }
    return true;
}

static bool receive(Qmp *qmp, int64_t deadline_us, GError **error)
{
    char chunk[QMP_CHUNK_BYTES];

    if (!wait_for(qmp, POLLIN, deadline_us, error))
        return false;
    ssize_t got = read(qmp->fd, chunk, sizeof chunk);
    if (got > 0)
        message_stream_feed(qmp->stream, chunk, (size_t)got);
    else if (got == 0)
        return fail(qmp, error, "QEMU closed the connection");
    else if (errno != EAGAIN && errno != EINTR)
        return fail(qmp, error, g_strerror(errno));
    return true;
}

/* The next message of any kind; NULL with an error. */
static json_object *next_message(Qmp *qmp, int64_t deadline_us, GError **error)
{
    for (;;) {
        json_object *value = NULL;
        g_autoptr(GError) garbage = NULL;
        MessageStreamResult result = message_stream_next(qmp->stream, &value, &garbage);
        if (result == MESSAGE_STREAM_VALUE && json_object_is_type(value, json_type_object))
            return value;
        if (result == MESSAGE_STREAM_MORE) {
            if (!receive(qmp, deadline_us, error))
                return NULL;
            continue;
        }
        json_object_put(value);
        fail(qmp, error, "what comes from there is not QMP");
        return NULL;
    }
}

static json_object *await_greeting(Qmp *qmp, int64_t deadline_us, GError **error)
{
    json_object *message = next_message(qmp, deadline_us, error);

    if (message && !json_field_object(message, "QMP")) {
        json_object_put(message);
        fail(qmp, error, "no QMP greeting; is this the monitor's socket (-qmp)?");
        return NULL;
    }
    return message;
}

/* Skips events, and replies that an earlier call did not wait for. */
static json_object *await_reply(Qmp *qmp, int64_t id, int64_t deadline_us, GError **error)
{
    for (;;) {
        int64_t got = -1;
        json_object *message = next_message(qmp, deadline_us, error);
        if (!message)
            return NULL;
        if (json_field_integer(message, "id", &got) && got == id)
            return message;
        json_object_put(message);
        if (g_get_monotonic_time() >= deadline_us) {
            fail(qmp, error, "no answer in time among the events");
            return NULL;
        }
    }
}

Qmp *qmp_open(const char *socket_path, int64_t timeout_ms, int interrupt_fd, GError **error)
{
    int64_t deadline_us = g_get_monotonic_time() + timeout_ms * 1000;
    int fd = connect_unix(socket_path, error);

    if (fd < 0)
        return NULL;
    g_autoptr(Qmp) qmp = g_new0(Qmp, 1);
    qmp->fd = fd;
    qmp->interrupt_fd = interrupt_fd;
    qmp->path = g_strdup(socket_path);
    qmp->stream = message_stream_new();

    json_object *greeting = await_greeting(qmp, deadline_us, error);
    if (!greeting)
        return NULL;
    json_object_put(greeting);
    GError *problem = NULL;
    json_object_put(qmp_call(qmp, "qmp_capabilities", NULL, timeout_ms, &problem));
    if (problem) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&qmp);
}

void qmp_free(Qmp *qmp)
{
    close(qmp->fd);
    message_stream_free(qmp->stream);
    g_free(qmp->path);
    g_free(qmp);
}

void qmp_set_interrupt_fd(Qmp *qmp, int interrupt_fd)
{
    qmp->interrupt_fd = interrupt_fd;
}

static char *request_text(const char *command, json_object *arguments, int64_t id)
{
    json_object *request = json_object_new_object();

    json_object_object_add(request, "execute", json_object_new_string(command));
    if (arguments)
        json_object_object_add(request, "arguments", json_object_get(arguments));
    json_object_object_add(request, "id", json_object_new_int64(id));
    char *text =
        g_strconcat(json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN), "\n", NULL);
    json_object_put(request);
    return text;
}

static json_object *call(Qmp *qmp, const char *command, json_object *arguments, int passed_fd,
                         int64_t timeout_ms, GError **error)
{
    int64_t deadline_us = g_get_monotonic_time() + timeout_ms * 1000;
    int64_t id = ++qmp->last_id;
    json_object *value = NULL;

    if (qmp->broken) {
        fail(qmp, error, "the connection is lost");
        return NULL;
    }
    g_autofree char *text = request_text(command, arguments, id);
    if (!send_all(qmp, text, passed_fd, deadline_us, error))
        return NULL;
    json_object *reply = await_reply(qmp, id, deadline_us, error);
    if (!reply)
        return NULL;
    if (json_object_object_get_ex(reply, "return", &value) && value) {
        json_object_get(value);
    } else {
        const char *desc = json_field_string(json_field_object(reply, "error"), "desc");
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP, "QMP at %s: %s: %s", qmp->path, command,
                    desc ? desc : "an answer without a result");
    }
    json_object_put(reply);
    return value;
}

json_object *qmp_call(Qmp *qmp, const char *command, json_object *arguments, int64_t timeout_ms,
                      GError **error)
{
    return call(qmp, command, arguments, -1, timeout_ms, error);
}

bool qmp_pass_fd(Qmp *qmp, const char *name, int fd, int64_t timeout_ms, GError **error)
{
    json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "fdname", json_object_new_string(name));
    json_object *reply = call(qmp, "getfd", arguments, fd, timeout_ms, error);
    json_object_put(arguments);
    json_object_put(reply);
    return reply != NULL;
}
