/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* Who is logged in: from utmp (utmp(5)), or from logind where the distribution has no utmp. */
typedef struct {
    char *user;
    int64_t since_us; /* since the epoch: the earliest of the user's sessions */
} Login;

/* A GPtrArray of Login, one for each user, in the order of their first session; owned by the
 * caller. NULL with an error. */
GPtrArray *logins_read(GError **error);
