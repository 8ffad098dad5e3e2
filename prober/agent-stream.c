/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-stream.h"
#include "protocol/client.h"

typedef struct {
    char *socket_path; /* NULL: vsock */
    uint32_t cid;
    uint32_t port;
    int64_t connect_timeout_ms;
    int interrupt_fd;
    Client *client; /* NULL: not connected */
} AgentStream;

static void agent_stream_disconnect(void *data)
{
    AgentStream *stream = data;

    g_clear_pointer(&stream->client, client_free);
}

static void agent_stream_free(void *data)
{
    AgentStream *stream = data;

    agent_stream_disconnect(stream);
    g_free(stream->socket_path);
    g_free(stream);
}

static void agent_stream_set_interrupt_fd(void *data, int interrupt_fd)
{
    AgentStream *stream = data;

    stream->interrupt_fd = interrupt_fd;
    if (stream->client)
        client_set_interrupt_fd(stream->client, interrupt_fd);
}

static bool ensure_connected(AgentStream *stream, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (stream->client)
        return true;

    g_autoptr(Client) client = stream->socket_path
                                   ? client_connect_unix(stream->socket_path, error)
                                   : client_connect_vsock(stream->cid, stream->port, error);
    if (!client)
        return false;
    client_set_interrupt_fd(client, stream->interrupt_fd);
    if (!client_sync(client, stream->connect_timeout_ms, &problem)) {
        bool silent = g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT);
        g_propagate_prefixed_error(error, g_steal_pointer(&problem), "%s",
                                   silent
                                       ? "nobody answers (is the agent running in the guest, and "
                                         "nobody else, as libvirt, using its socket?): "
                                       : "");
        return false;
    }
    stream->client = g_steal_pointer(&client);
    return true;
}

static void drop_when_closed(AgentStream *stream, const GError *problem)
{
    if (g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_CLOSED))
        agent_stream_disconnect(stream);
}

static bool agent_stream_sync(void *data, int64_t timeout_ms, GError **error)
{
    AgentStream *stream = data;
    g_autoptr(GError) problem = NULL;

    /* A new connection begins with a sync of its own. */
    if (!stream->client)
        return ensure_connected(stream, error);
    if (client_sync(stream->client, timeout_ms, &problem))
        return true;
    drop_when_closed(stream, problem);
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

static json_object *agent_stream_call(void *data, const char *command, json_object *arguments,
                                      int64_t timeout_ms, GError **error)
{
    AgentStream *stream = data;
    g_autoptr(GError) problem = NULL;

    if (!ensure_connected(stream, error))
        return NULL;
    json_object *reply = client_call(stream->client, command, arguments, timeout_ms, &problem);
    if (problem) {
        drop_when_closed(stream, problem);
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return reply;
}

static const AgentLinkCalls stream_calls = {
    .set_interrupt_fd = agent_stream_set_interrupt_fd,
    .disconnect = agent_stream_disconnect,
    .sync = agent_stream_sync,
    .call = agent_stream_call,
    .free = agent_stream_free,
};

static AgentStream *agent_stream_new(int64_t timeout_ms)
{
    AgentStream *stream = g_new0(AgentStream, 1);

    stream->connect_timeout_ms = timeout_ms;
    stream->interrupt_fd = -1;
    return stream;
}

AgentLink *agent_stream_new_unix(const char *name, const char *words, const char *socket_path,
                                 int64_t timeout_ms)
{
    AgentStream *stream = agent_stream_new(timeout_ms);

    stream->socket_path = g_strdup(socket_path);
    return agent_link_new(name, words, &stream_calls, stream, timeout_ms);
}

AgentLink *agent_stream_new_vsock(const char *name, const char *words, uint32_t cid, uint32_t port,
                                  int64_t timeout_ms)
{
    AgentStream *stream = agent_stream_new(timeout_ms);

    stream->cid = cid;
    stream->port = port;
    return agent_link_new(name, words, &stream_calls, stream, timeout_ms);
}
