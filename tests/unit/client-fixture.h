/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the client share: the other end of its connection, played by a thread. */

#include "protocol/client.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For calls that shall succeed, on a machine that may be busy; and for those that shall not. */
#define PATIENCE_MS 30000
#define IMPATIENCE_MS 150

/* The other end of a socket pair, played by a thread. The scripts below are its parts. */
typedef void (*Script)(int fd);

typedef struct {
    int fd;
    Script script;
    GThread *thread;
    Client *client;
} Pair;

static Pair pair;

static inline gpointer play(gpointer data)
{
    pair.script(pair.fd);
    shutdown(pair.fd, SHUT_RDWR);
    return NULL;
}

static inline Client *begin(Script script)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    pair = (Pair){.fd = fds[1], .script = script, .client = client_new(fds[0], "the pair")};
    pair.thread = g_thread_new("peer", play, NULL);
    return pair.client;
}

static inline void end(void)
{
    if (pair.thread == NULL)
        return;
    g_clear_pointer(&pair.client, client_free);
    g_thread_join(pair.thread);
    close(pair.fd);
}

/* Up to the newline, without it; NULL at the end. */
static inline char *hear(int fd)
{
    GString *line = g_string_new(NULL);
    char byte = 0;

    while (read(fd, &byte, 1) == 1) {
        if (byte == '\n')
            return g_string_free(line, FALSE);
        g_string_append_c(line, byte);
    }
    g_string_free(line, TRUE);
    return NULL;
}

static inline void say(int fd, const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0)
            return;
        text += sent;
        length -= (size_t)sent;
    }
}

/* Hears one request, which must be this one. */
static inline void expect(int fd, const char *expected)
{
    g_autofree char *line = hear(fd);
    g_assert_cmpstr(line, ==, expected);
}

/* Hears a sync and returns its id. */
static inline int64_t hear_sync(int fd)
{
    static const char start[] =
        "\xff{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": ";
    g_autofree char *line = hear(fd);

    g_assert_nonnull(line);
    g_assert_true(g_str_has_prefix(line, start));
    return g_ascii_strtoll(line + strlen(start), NULL, 10);
}

static inline void say_synced(int fd, int64_t id)
{
    g_autofree char *reply = g_strdup_printf("\xff{\"return\": %" G_GINT64_FORMAT "}\n", id);
    say(fd, reply);
}

static inline void obey_sync(int fd)
{
    say_synced(fd, hear_sync(fd));
}

static inline void obey_ping(int fd)
{
    expect(fd, "{\"execute\": \"guest-ping\"}");
    say(fd, "{\"return\": {}}\n");
}

static inline void stay_until_closed(int fd)
{
    char bytes[4096];

    while (read(fd, bytes, sizeof bytes) > 0)
        continue;
}

static inline void assert_ping_works(Client *client)
{
    g_autoptr(GError) error = NULL;
    json_object *value = client_call(client, "guest-ping", NULL, PATIENCE_MS, &error);

    ck_assert_msg(error == NULL, "%s", error != NULL ? error->message : "");
    ck_assert_int_eq(json_object_get_type(value), json_type_object);
    json_object_put(value);
}

/* A ping that fails; the message is the caller's to free. */
static inline char *ping_error(Client *client, int64_t timeout_ms, ClientError code)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(client_call(client, "guest-ping", NULL, timeout_ms, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(g_error_matches(error, CLIENT_ERROR, (int)code), "%d %s", error->code,
                  error->message);
    return g_strdup(error->message);
}

static inline void assert_contains(const char *text, const char *part)
{
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in '%s'", part, text);
}

/* More than a socket holds. */
static inline json_object *large_arguments(void)
{
    json_object *arguments = json_object_new_object();
    g_autofree char *letters = g_strnfill(4 * 1024 * 1024, 'A');

    json_object_object_add(arguments, "buf-b64", json_object_new_string(letters));
    return arguments;
}
