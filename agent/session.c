/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/session.h"

#include "agent/dispatch.h"
#include "agent/log.h"
#include "agent/output-queue.h"
#include "protocol/message-stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TOPIC "channel"
#define READ_BYTES (64u * 1024)

/* Steps (reads, requests) in one turn of the main loop, before other sessions get theirs. */
#define STEPS_PER_TURN 128

/* A request that is being carried out. */
typedef struct {
    Session *session; /* NULL once nobody waits for the reply */
} Pending;

struct Session {
    Dispatch *dispatch;
    SessionOptions options;
    char *name;
    SessionEnded ended;
    void *user_data;

    MessageStream *stream;
    OutputQueue *output;
    Pending *pending;
    GError *failure;

    int epoll_fd;
    uint32_t watched; /* epoll events asked for */
    guint watch_id;
    guint resume_id;
    guint stall_id;
    int64_t progress_time; /* monotonic, of the last byte written while blocked */
    unsigned lost_replies; /* since the peer was given up */

    bool connected; /* a port: the kernel has said so */
    bool leaving;   /* a port: what is read was sent by the host that is gone */
    bool readable;  /* until a read says otherwise */
    bool hung_up;   /* reads go on until they tell the end */
    bool deaf;      /* the peer closed its receiving side */
    bool stalled;   /* given up until it reads again */
    bool at_end;    /* end of file has been read */
    bool in_turn;
    bool is_over;
};

static void take_turn(Session *session);

static bool has_flag(const Session *session, SessionFlags flag)
{
    return (session->options.flags & flag) != 0;
}

static void watch_events(Session *session, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events};
    if (epoll_ctl(session->epoll_fd, operation, session->options.fd, &event) == 0)
        session->watched = events;
}

/* Room for output is watched only while it is waited for: a peer that reads its replies would wake
 * us once per reply for nothing. A port that waits for its host wants every sign of it. */
static void update_watch(Session *session)
{
    uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (session->stall_id != 0 || session->stalled || !session->connected)
        events |= EPOLLOUT;
    if (events != session->watched)
        watch_events(session, EPOLL_CTL_MOD, events);
}

static void detach_pending(Session *session)
{
    if (session->pending == NULL)
        return;
    log_info(TOPIC, "%s: the command under way goes on, its reply will be dropped", session->name);
    session->pending->session = NULL;
    session->pending = NULL;
}

static void stop_stall_clock(Session *session)
{
    g_clear_handle_id(&session->stall_id, g_source_remove);
}

/* Nobody is left to read it. */
static void drop_output(Session *session)
{
    detach_pending(session);
    stop_stall_clock(session);
    output_queue_clear(session->output);
}

static void fail(Session *session, GError *error)
{
    if (session->failure == NULL)
        session->failure = error;
    else
        g_error_free(error);
}

/*
 * A port's host is gone; the port waits for the next one.
 *
 * Data come by the port's queue, comings and goings by a worker of the control queue, so nothing
 * tells for sure whose words are read while nobody is said to be there. If some were known to be
 * unread they are the last host's: carried out, for one may be a thaw, but not answered. Otherwise
 * they are the next host's, who is faster than the word of its arrival: the replies are kept. A
 * byte 0xFF settles it: the next host has begun.
 */
static void note_host_gone(Session *session, bool unread)
{
    if (!session->connected)
        return;
    log_info(TOPIC, "%s: host disconnected", session->name);
    drop_output(session);
    session->connected = false;
    session->stalled = false;
    session->leaving = unread;
    if (!unread)
        message_stream_reset(session->stream);
}

static void note_host_begins_afresh(Session *session)
{
    if (session->connected)
        return;
    session->leaving = false;
    output_queue_clear(session->output);
}

static void note_host(Session *session)
{
    if (session->connected)
        return;
    session->connected = true;
    session->leaving = false;
    log_info(TOPIC, "%s: host connected", session->name);
}

static gboolean on_stall_clock(void *user_data)
{
    Session *session = user_data;
    int64_t waited_ms = (g_get_monotonic_time() - session->progress_time) / 1000;
    int64_t left_ms = session->options.stall_timeout_ms - waited_ms;
    session->stall_id = 0;
    if (left_ms > 0) {
        session->stall_id = g_timeout_add((guint)left_ms, on_stall_clock, session);
        return G_SOURCE_REMOVE;
    }
    log_warning(TOPIC,
                "%s: the host has read nothing for %" G_GINT64_FORMAT
                " ms: %zu bytes of replies dropped",
                session->name, waited_ms, output_queue_length(session->output));
    output_queue_abandon(session->output);
    if (has_flag(session, SESSION_SURVIVES_STALL))
        session->stalled = true;
    else
        fail(session, g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                                          "the peer stopped reading its replies"));
    take_turn(session);
    return G_SOURCE_REMOVE;
}

static void start_stall_clock(Session *session)
{
    session->progress_time = g_get_monotonic_time();
    if (session->stall_id == 0)
        session->stall_id =
            g_timeout_add((guint)session->options.stall_timeout_ms, on_stall_clock, session);
}

static void push_reply(Session *session, GBytes *reply)
{
    if (session->deaf || session->leaving)
        return;
    if (!session->connected && output_queue_length(session->output) >= SESSION_OUTPUT_BYTES / 2)
        output_queue_clear(session->output);
    if (session->stalled)
        session->lost_replies++;
    else
        output_queue_push(session->output, reply);
}

static void flush(Session *session)
{
    g_autoptr(GError) error = NULL;
    size_t written;

    if (!session->connected)
        return;
    switch (output_queue_write(session->output, session->options.fd, &written, &error)) {
    case OUTPUT_QUEUE_EMPTY:
        stop_stall_clock(session);
        break;
    case OUTPUT_QUEUE_BLOCKED:
        if (written > 0 || session->stall_id == 0)
            start_stall_clock(session);
        break;
    case OUTPUT_QUEUE_FAILED:
        /* Requests it sent before it left are carried out all the same: reading tells the end. */
        log_debug(TOPIC, "%s: cannot write a reply: %s", session->name, error->message);
        session->deaf = true;
        session->readable = true;
        session->hung_up = true;
        stop_stall_clock(session);
        output_queue_clear(session->output);
        break;
    }
}

static gboolean on_resume(void *user_data)
{
    Session *session = user_data;
    session->resume_id = 0;
    take_turn(session);
    return G_SOURCE_REMOVE;
}

static void resume_soon(Session *session)
{
    if (session->resume_id == 0)
        session->resume_id = g_idle_add_full(G_PRIORITY_DEFAULT, on_resume, session, NULL);
}

static void on_done(GBytes *reply, void *user_data)
{
    Pending *pending = user_data;
    Session *session = pending->session;
    g_free(pending);
    if (session == NULL)
        return;
    session->pending = NULL;
    if (reply != NULL)
        push_reply(session, reply);
    if (session->in_turn)
        return;
    /* Whoever answers several hosts at once must not meet the next request of the first of them, a
     * freeze perhaps, before it has answered the last. */
    flush(session);
    resume_soon(session);
}

static void carry_out(Session *session, json_object *value)
{
    session->pending = g_new(Pending, 1);
    session->pending->session = session;
    dispatch_request(session->dispatch, value, session->name, on_done, session->pending);
}

static void at_end_of_input(Session *session)
{
    session->readable = false;
    if (!has_flag(session, SESSION_SURVIVES_HANGUP)) {
        session->at_end = true;
        return;
    }
    note_host_gone(session, false);
    session->leaving = false;
    message_stream_reset(session->stream);
}

/* Returns whether there may be something new in the stream. */
static bool read_some(Session *session)
{
    char buffer[READ_BYTES];
    ssize_t count = read(session->options.fd, buffer, sizeof buffer);

    if (count < 0 && errno == EINTR)
        return true;
    if (count < 0 && errno == EAGAIN) {
        session->readable = false;
        return false;
    }
    if (count < 0) {
        int code = errno;
        fail(session, g_error_new(G_FILE_ERROR, g_file_error_from_errno(code), "cannot read: %s",
                                  g_strerror(code)));
        return false;
    }
    if (count == 0) {
        at_end_of_input(session);
        return false;
    }
    if (has_flag(session, SESSION_SHORT_READ_IS_ALL) && (size_t)count < sizeof buffer &&
        !session->hung_up)
        session->readable = false;
    message_stream_feed(session->stream, buffer, (size_t)count);
    return true;
}

/* One request, one error or one read; false when there is nothing to do for now. */
static bool step(Session *session)
{
    json_object *value = NULL;
    g_autoptr(GError) error = NULL;

    unsigned delimiters = message_stream_delimiters(session->stream);
    MessageStreamResult result = message_stream_next(session->stream, &value, &error);
    if (message_stream_delimiters(session->stream) != delimiters)
        note_host_begins_afresh(session);
    switch (result) {
    case MESSAGE_STREAM_MORE:
        return session->readable && read_some(session);
    case MESSAGE_STREAM_VALUE:
        carry_out(session, value);
        return true;
    case MESSAGE_STREAM_ERROR: {
        g_autoptr(GBytes) reply = dispatch_error_reply(error);
        log_debug(TOPIC, "%s: %s", session->name, error->message);
        push_reply(session, reply);
        return true;
    }
    }
    return false;
}

static bool may_step(const Session *session)
{
    return session->pending == NULL && session->failure == NULL && !session->at_end &&
           output_queue_length(session->output) < SESSION_OUTPUT_BYTES;
}

/* The one place where a session ends, after which nothing here touches it any more. */
static void finish_turn(Session *session)
{
    bool drained = output_queue_length(session->output) == 0;
    if (session->failure == NULL && !(session->at_end && drained)) {
        update_watch(session);
        return;
    }
    session->is_over = true;
    detach_pending(session);
    g_clear_handle_id(&session->watch_id, g_source_remove);
    g_clear_handle_id(&session->resume_id, g_source_remove);
    stop_stall_clock(session);
    session->ended(session, session->failure, session->user_data);
}

static void take_turn(Session *session)
{
    if (session->in_turn || session->is_over)
        return;
    session->in_turn = true;
    unsigned steps = 0;
    bool more = true;
    while (more && may_step(session) && steps++ < STEPS_PER_TURN)
        more = step(session);
    flush(session);
    if ((more || session->deaf) && may_step(session))
        resume_soon(session);
    session->in_turn = false;
    finish_turn(session);
}

static void note_events(Session *session, uint32_t events)
{
    bool unread = session->readable;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        session->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        session->hung_up = true;
    if (!has_flag(session, SESSION_SURVIVES_HANGUP))
        return;
    if (events & EPOLLHUP) {
        note_host_gone(session, unread);
    } else {
        session->hung_up = false;
        note_host(session);
    }
}

static gboolean on_events(int epoll_fd, GIOCondition condition, void *user_data)
{
    Session *session = user_data;
    struct epoll_event event;
    if (epoll_wait(epoll_fd, &event, 1, 0) != 1)
        return G_SOURCE_CONTINUE;
    note_events(session, event.events);
    if (session->stalled && (event.events & EPOLLOUT)) {
        log_info(TOPIC, "%s: the host reads again; %u replies were dropped meanwhile",
                 session->name, session->lost_replies);
        session->stalled = false;
        session->lost_replies = 0;
    }
    take_turn(session);
    return G_SOURCE_CONTINUE;
}

/* As g_unix_fd_add(), but the source may recurse: GLib takes the descriptor of one that may not out
 * of the poll set for the time of each callback, which costs three system calls, half of what a
 * ping needs. Source: glib/gmain.c (block_source). */
static guint attach_watch(Session *session)
{
    g_autoptr(GSource) source = g_unix_fd_source_new(session->epoll_fd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(on_events), session, NULL);
    g_source_set_can_recurse(source, TRUE);
    return g_source_attach(source, NULL);
}

Session *session_new(Dispatch *dispatch, const SessionOptions *options, SessionEnded ended,
                     void *user_data, GError **error)
{
    g_autoptr(Session) session = g_new0(Session, 1);
    session->dispatch = dispatch;
    session->options = *options;
    session->name = g_strdup(options->name);
    session->ended = ended;
    session->user_data = user_data;
    session->stream = message_stream_new();
    session->output = output_queue_new();
    session->connected = !has_flag(session, SESSION_SURVIVES_HANGUP);

    session->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (session->epoll_fd >= 0)
        watch_events(session, EPOLL_CTL_ADD,
                     EPOLLIN | EPOLLRDHUP | EPOLLET | (session->connected ? 0 : EPOLLOUT));
    if (session->watched == 0) {
        int code = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "cannot watch %s: %s",
                    session->name, g_strerror(code));
        return NULL;
    }
    session->watch_id = attach_watch(session);
    return g_steal_pointer(&session);
}

void session_free(Session *session)
{
    if (session == NULL)
        return;
    detach_pending(session);
    g_clear_handle_id(&session->watch_id, g_source_remove);
    g_clear_handle_id(&session->resume_id, g_source_remove);
    stop_stall_clock(session);
    if (session->epoll_fd >= 0)
        close(session->epoll_fd);
    close(session->options.fd);
    message_stream_free(session->stream);
    output_queue_free(session->output);
    g_clear_error(&session->failure);
    g_free(session->name);
    g_free(session);
}

const char *session_name(const Session *session)
{
    return session->name;
}
