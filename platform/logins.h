/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Who is logged in: from utmp (utmp(5)), or from logind where the distribution has no utmp. */
typedef struct {
    char *user;
    int64_t since_us; /* since the epoch: the earliest of the user's sessions */
} Login;

void login_free(Login *login);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Login, login_free)

/* What logind keeps of a session in /run/systemd/sessions, where sd-login(3) reads it, too. NULL
 * when it is no person's (a greeter, a service manager), or one that ends. */
Login *login_parse_session(const char *text);

/* Reads only what lies in /run and asks nobody: it may be called while filesystems are frozen.
 * A GPtrArray of Login, one for each user, in the order of their first session; owned by the
 * caller. NULL with an error. */
GPtrArray *logins_read(GError **error);
