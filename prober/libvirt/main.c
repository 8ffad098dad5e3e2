/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quiesce-probe-libvirt DOMAIN [URI] - started by quiesce-probe (libvirt-service.c), never by
 * people. A process of its own for two reasons. libvirt's calls cannot be given a deadline: a
 * daemon that hangs hangs its caller, and a guest is to be thawed all the same; a process can be
 * killed. And quiesce-probe, which needs two packages, does not depend on libvirt, which brings
 * 25 (tests/bench/footprint): a host without libvirt does without this program.
 *
 * Standard input is a socket. Requests and replies have the shape of the guest agent protocol, so
 * that protocol/client.h is the other side:
 *   open {} -> {}
 *   agent {command, request, timeout-s} -> {"answer": {"return": ...}}, or the agent's error
 *   stats {} -> {"stats": [{name, writes, bytes}]}
 *   snapshot {xml} -> {}
 *   disks {} -> {"disks": [{name, format, address, problem, writable}]}
 *   list {} -> {"domains": [NAME]}, with an empty DOMAIN
 *
 * What goes wrong with libvirt is no error of the protocol, but {"trouble": TEXT}.
 */
#include "prober/json-field.h"
#include "prober/libvirt/domain-disks.h"
#include "prober/libvirt/domain-session.h"
#include "protocol/json-writer.h"
#include "protocol/message-stream.h"
#include "protocol/request.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICE_FD STDIN_FILENO
#define STATUS_USAGE 2

typedef bool (*Serve)(DomainSession *session, json_object *arguments, JsonWriter *writer,
                      GError **error);

static bool serve_open(DomainSession *session, json_object *arguments, JsonWriter *writer,
                       GError **error)
{
    return domain_session_open(session, error);
}

static bool serve_agent(DomainSession *session, json_object *arguments, JsonWriter *writer,
                        GError **error)
{
    const char *command = json_field_string(arguments, "command");
    const char *request = json_field_string(arguments, "request");
    int64_t timeout_s = 0;

    if (!command || !request || !json_field_integer(arguments, "timeout-s", &timeout_s))
        return false;
    char *answer = domain_session_agent(session, command, request, (int)timeout_s, error);
    if (!answer)
        return false;
    json_object *value = json_tokener_parse(answer);
    free(answer);
    json_writer_value(writer, "answer", value);
    json_object_put(value);
    return true;
}

static bool serve_stats(DomainSession *session, json_object *arguments, JsonWriter *writer,
                        GError **error)
{
    g_autoptr(GPtrArray) list = domain_session_block_stats(session, error);

    if (!list)
        return false;
    json_writer_begin_array(writer, "stats");
    for (unsigned i = 0; i < list->len; i++) {
        const DomainBlockStats *stats = g_ptr_array_index(list, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "name", stats->name);
        json_writer_unsigned(writer, "writes", stats->writes);
        json_writer_unsigned(writer, "bytes", stats->bytes);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
    return true;
}

static bool serve_disks(DomainSession *session, json_object *arguments, JsonWriter *writer,
                        GError **error)
{
    g_autoptr(GPtrArray) disks = domain_session_disks(session, error);

    if (!disks)
        return false;
    json_writer_begin_array(writer, "disks");
    for (unsigned i = 0; i < disks->len; i++) {
        const DomainDisk *disk = g_ptr_array_index(disks, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "name", disk->name);
        json_writer_optional_string(writer, "format", disk->format);
        json_writer_optional_string(writer, "address", disk->address);
        json_writer_optional_string(writer, "problem", disk->problem);
        json_writer_boolean(writer, "writable", disk->writable);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
    return true;
}

static bool serve_snapshot(DomainSession *session, json_object *arguments, JsonWriter *writer,
                           GError **error)
{
    const char *xml = json_field_string(arguments, "xml");

    return xml && domain_session_snapshot(session, xml, error);
}

static bool serve_list(DomainSession *session, json_object *arguments, JsonWriter *writer,
                       GError **error)
{
    g_auto(GStrv) names = domain_session_list(session, error);

    if (!names)
        return false;
    json_writer_begin_array(writer, "domains");
    for (char **name = names; *name; name++)
        json_writer_string(writer, NULL, *name);
    json_writer_end_array(writer);
    return true;
}

static const struct {
    const char *command;
    Serve serve;
} commands[] = {
    {"open", serve_open},   {"agent", serve_agent},       {"stats", serve_stats},
    {"disks", serve_disks}, {"snapshot", serve_snapshot}, {"list", serve_list},
};

static Serve find_command(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (strcmp(commands[i].command, name) == 0)
            return commands[i].serve;
    }
    return NULL;
}

static void write_agent_error(JsonWriter *writer, const GError *problem)
{
    bool unknown = g_error_matches(problem, DOMAIN_SESSION_ERROR, DOMAIN_SESSION_ERROR_NOT_FOUND);

    json_writer_begin_object(writer, "error");
    json_writer_string(writer, "class", unknown ? "CommandNotFound" : "GenericError");
    json_writer_string(writer, "desc", problem->message);
    json_writer_end_object(writer);
}

/* One reply; what the command had written before it failed goes with its writer. */
static JsonWriter *answer(DomainSession *session, json_object *message)
{
    Request request = {0};
    g_autoptr(GError) problem = NULL;
    JsonWriter *writer = json_writer_new();
    Serve serve = request_parse(message, &request, NULL) ? find_command(request.command) : NULL;

    json_writer_begin_object(writer, NULL);
    json_writer_begin_object(writer, "return");
    bool served = serve && serve(session, request.arguments, writer, &problem);
    if (!served && !g_error_matches(problem, DOMAIN_SESSION_ERROR, DOMAIN_SESSION_ERROR_TROUBLE) &&
        problem) {
        json_writer_free(writer);
        writer = json_writer_new();
        json_writer_begin_object(writer, NULL);
        write_agent_error(writer, problem);
        json_writer_end_object(writer);
        return writer;
    }
    if (!served)
        json_writer_string(writer, "trouble", problem ? problem->message : "no such request");
    json_writer_end_object(writer);
    json_writer_end_object(writer);
    return writer;
}

static bool send_all(const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(SERVICE_FD, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static bool reply_to(DomainSession *session, json_object *message)
{
    g_autoptr(JsonWriter) writer = answer(session, message);
    size_t length = 0;
    const char *text = json_writer_text(writer, &length);

    /* Nothing after the value: the other side takes what nobody asked for as a reason to sync. */
    return send_all(text, length);
}

static void serve(DomainSession *session)
{
    g_autoptr(MessageStream) stream = message_stream_new();
    char bytes[4096];

    for (;;) {
        ssize_t got = recv(SERVICE_FD, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        message_stream_feed(stream, bytes, (size_t)got);
        json_object *message = NULL;
        while (message_stream_next(stream, &message, NULL) == MESSAGE_STREAM_VALUE) {
            bool sent = reply_to(session, message);
            json_object_put(message);
            if (!sent)
                return;
        }
    }
}

/* libvirt may hold the main thread for ever: who started this program and is gone does not wait. */
static gpointer end_with_peer(gpointer data)
{
    struct pollfd peer = {.fd = SERVICE_FD, .events = POLLRDHUP};

    while (poll(&peer, 1, -1) < 0 && errno == EINTR)
        ;
    _exit(EXIT_SUCCESS);
}

static void ignore_error(void *data, virErrorPtr problem)
{
}

int main(int argc, char **argv)
{
    /* Ctrl-C is for quiesce-probe, which still needs this program to thaw. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (argc < 2 || argc > 3)
        return STATUS_USAGE;
    g_thread_unref(g_thread_new("end-with-peer", end_with_peer, NULL));
    virSetErrorFunc(NULL, ignore_error);

    g_autoptr(DomainSession) session = domain_session_new(argc == 3 ? argv[2] : NULL, argv[1]);
    serve(session);
    return EXIT_SUCCESS;
}
