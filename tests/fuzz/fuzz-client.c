/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/client.h"

#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * The prober's end of the wire before a peer that says what it likes and hangs up. The ids of syncs
 * are no secret here, so that the peer can get beyond them: 1048577.
 */
#define TIMEOUT_MS 10000
#define CALLS 4

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

/* In place of GLib's: the client's only use of randomness. */
guint32 g_random_int(void)
{
    return 1;
}

static void call(Client *client)
{
    g_autoptr(GError) error = NULL;
    json_object *reply = client_call(client, "guest-ping", NULL, TIMEOUT_MS, &error);

    g_assert(error == NULL || reply == NULL);
    g_assert(error == NULL || g_utf8_validate(error->message, -1, NULL));
    json_object_put(reply);
}

static bool sync_with(Client *client)
{
    g_autoptr(GError) error = NULL;
    bool good = client_sync(client, TIMEOUT_MS, &error);

    g_assert(good == (error == NULL));
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        g_error("cannot make a socket pair");
    if (length > 0 && send(fds[1], input, length, MSG_DONTWAIT) != (ssize_t)length) {
        close(fds[0]);
        close(fds[1]);
        return 0;
    }
    shutdown(fds[1], SHUT_WR);
    g_autoptr(Client) client = client_new(fds[0], "the fuzzer");
    for (unsigned i = 0; i < CALLS; i++)
        call(client);
    if (sync_with(client))
        call(client);
    close(fds[1]);
    return 0;
}
