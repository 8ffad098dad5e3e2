/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/channel.h"

#include "agent/channel-serial.h"
#include "agent/channel-socket.h"
#include "agent/channel-virtio.h"
#include "agent/config.h"
#include "agent/log.h"
#include "agent/session.h"

#include <glib-unix.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOPIC "channel"

typedef struct {
    int (*open)(const char *path, GError **error);
    bool listens;
    bool makes_file;
    SessionFlags session_flags;
} Method;

static const Method methods[] = {
    [CHANNEL_VIRTIO_SERIAL] = {.open = channel_virtio_open,
                               .session_flags = SESSION_SURVIVES_HANGUP | SESSION_SURVIVES_STALL},
    [CHANNEL_ISA_SERIAL] = {.open = channel_serial_open, .session_flags = SESSION_SURVIVES_STALL},
    [CHANNEL_UNIX_LISTEN] = {.open = channel_socket_listen_unix,
                             .listens = true,
                             .makes_file = true,
                             .session_flags = SESSION_SHORT_READ_IS_ALL},
    [CHANNEL_VSOCK_LISTEN] = {.open = channel_socket_listen_vsock,
                              .listens = true,
                              .session_flags = SESSION_SHORT_READ_IS_ALL},
};

struct Channel {
    Agent *agent;
    Method method;
    const char *path; /* of the configuration */
    GPtrArray *sessions;
    GError *error;
    int listen_fd;      /* -1 for a port */
    ino_t socket_inode; /* of the file we made; 0: none */
    guint accept_id;
    guint retry_id;
};

static gboolean on_client(int listen_fd, GIOCondition condition, void *user_data);
static void wait_for_port(Channel *channel);

static void give_up(Channel *channel, GError *error)
{
    channel->error = error;
    g_main_loop_quit(channel->agent->loop);
}

static void update_accept(Channel *channel)
{
    bool room = channel->sessions->len < CHANNEL_MAX_CLIENTS;
    if (!room)
        g_clear_handle_id(&channel->accept_id, g_source_remove);
    else if (channel->accept_id == 0 && channel->listen_fd >= 0)
        channel->accept_id = g_unix_fd_add(channel->listen_fd, G_IO_IN, on_client, channel);
}

static void on_session_ended(Session *session, const GError *error, void *user_data)
{
    Channel *channel = user_data;
    g_autofree char *name = g_strdup(session_name(session));
    g_autofree char *cause = g_strdup(error != NULL ? error->message : "closed by the host");
    g_ptr_array_remove_fast(channel->sessions, session);

    if (channel->method.listens) {
        log_info(TOPIC, "%s: disconnected (%s)", name, cause);
        update_accept(channel);
    } else if (channel->agent->config->retry_path) {
        log_warning(TOPIC, "%s is gone (%s); waiting for it to come back", name, cause);
        wait_for_port(channel);
    } else {
        give_up(channel, g_error_new(G_FILE_ERROR, G_FILE_ERROR_NODEV,
                                     "%s is gone (%s); --retry-path waits for it to come back",
                                     name, cause));
    }
}

static bool add_session(Channel *channel, int fd, const char *name, GError **error)
{
    SessionOptions options = {.fd = fd,
                              .name = name,
                              .flags = channel->method.session_flags,
                              .stall_timeout_ms = SESSION_STALL_TIMEOUT_MS};
    Session *session =
        session_new(channel->agent->dispatch, &options, on_session_ended, channel, error);
    if (session == NULL)
        return false;
    g_ptr_array_add(channel->sessions, session);
    return true;
}

static gboolean on_accept_retry(void *user_data)
{
    Channel *channel = user_data;
    channel->retry_id = 0;
    update_accept(channel);
    return G_SOURCE_REMOVE;
}

static gboolean on_client(int listen_fd, GIOCondition condition, void *user_data)
{
    Channel *channel = user_data;
    g_autofree char *name = NULL;
    g_autoptr(GError) error = NULL;
    int fd = channel_socket_accept(listen_fd, &name, &error);

    if (fd >= 0 && add_session(channel, fd, name, &error))
        log_info(TOPIC, "%s: connected", name);
    if (error != NULL) {
        log_warning(TOPIC, "%s; next attempt in %d s", error->message, CHANNEL_RETRY_INTERVAL_S);
        g_clear_handle_id(&channel->accept_id, g_source_remove);
        channel->retry_id =
            g_timeout_add_seconds(CHANNEL_RETRY_INTERVAL_S, on_accept_retry, channel);
        return G_SOURCE_CONTINUE;
    }
    update_accept(channel);
    return G_SOURCE_CONTINUE;
}

static void listen_on(Channel *channel, int fd)
{
    channel->listen_fd = fd;
    update_accept(channel);
}

static bool open_path(Channel *channel, GError **error)
{
    int fd = channel->method.open(channel->path, error);
    if (fd < 0)
        return false;
    if (!channel->method.listens)
        return add_session(channel, fd, channel->path, error);

    struct stat status;
    if (channel->method.makes_file && stat(channel->path, &status) == 0)
        channel->socket_inode = status.st_ino;
    listen_on(channel, fd);
    return true;
}

static gboolean on_retry(void *user_data)
{
    Channel *channel = user_data;
    if (!open_path(channel, NULL))
        return G_SOURCE_CONTINUE;
    log_info(TOPIC, "opened %s", channel->path);
    channel->retry_id = 0;
    return G_SOURCE_REMOVE;
}

static void wait_for_port(Channel *channel)
{
    channel->retry_id = g_timeout_add_seconds(CHANNEL_RETRY_INTERVAL_S, on_retry, channel);
}

static bool start(Channel *channel, GError **error)
{
    g_autoptr(GError) cause = NULL;
    int inherited = channel_socket_inherited(&cause);
    if (inherited >= 0) {
        channel->method = methods[CHANNEL_UNIX_LISTEN];
        listen_on(channel, inherited);
        log_info(TOPIC, "listening on the socket handed over by the service manager");
        return true;
    }
    if (cause == NULL && open_path(channel, &cause)) {
        log_info(TOPIC, channel->method.listens ? "listening on %s" : "opened %s", channel->path);
        return true;
    }
    if (channel->method.listens || !channel->agent->config->retry_path) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return false;
    }
    log_warning(TOPIC, "%s; trying once in %d s", cause->message, CHANNEL_RETRY_INTERVAL_S);
    wait_for_port(channel);
    return true;
}

Channel *channel_new(Agent *agent, GError **error)
{
    g_autoptr(Channel) channel = g_new0(Channel, 1);
    channel->agent = agent;
    channel->method = methods[agent->config->method];
    channel->path = agent->config->path;
    channel->sessions = g_ptr_array_new_with_free_func((GDestroyNotify)session_free);
    channel->listen_fd = -1;
    if (!start(channel, error))
        return NULL;
    return g_steal_pointer(&channel);
}

static void remove_socket_file(const Channel *channel)
{
    struct stat status;
    if (channel->socket_inode != 0 && lstat(channel->path, &status) == 0 &&
        status.st_ino == channel->socket_inode)
        unlink(channel->path);
}

void channel_free(Channel *channel)
{
    if (channel == NULL)
        return;
    g_clear_handle_id(&channel->accept_id, g_source_remove);
    g_clear_handle_id(&channel->retry_id, g_source_remove);
    g_ptr_array_unref(channel->sessions);
    remove_socket_file(channel);
    if (channel->listen_fd >= 0)
        close(channel->listen_fd);
    g_clear_error(&channel->error);
    g_free(channel);
}

const GError *channel_error(const Channel *channel)
{
    return channel->error;
}
