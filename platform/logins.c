/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/logins.h"

#include "build-config.h"

#include <paths.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>
#ifdef HAVE_LIBSYSTEMD
#include <stdlib.h>
#include <systemd/sd-login.h>
#endif

void login_free(Login *login)
{
    if (!login)
        return;
    g_free(login->user);
    g_free(login);
}

static void add(GPtrArray *logins, const char *user, int64_t since_us)
{
    for (unsigned i = 0; i < logins->len; i++) {
        Login *login = g_ptr_array_index(logins, i);
        if (g_str_equal(login->user, user)) {
            login->since_us = MIN(login->since_us, since_us);
            return;
        }
    }
    Login *login = g_new0(Login, 1);
    login->user = g_strdup(user);
    login->since_us = since_us;
    g_ptr_array_add(logins, login);
}

static void read_utmp(GPtrArray *logins)
{
    const struct utmpx *entry;

    setutxent();
    while ((entry = getutxent())) {
        if (entry->ut_type != USER_PROCESS)
            continue;
        /* The field need not end with a NUL: utmp(5). */
        g_autofree char *user = g_strndup(entry->ut_user, sizeof entry->ut_user);
        add(logins, user, (int64_t)entry->ut_tv.tv_sec * G_USEC_PER_SEC + entry->ut_tv.tv_usec);
    }
    endutxent();
}

/* The value of NAME= at the start of a line; NULL when there is no such line. */
static char *value_of(char *const *lines, const char *name)
{
    for (; *lines; lines++)
        if (g_str_has_prefix(*lines, name) && (*lines)[strlen(name)] == '=')
            return g_strdup(*lines + strlen(name) + 1);
    return NULL;
}

/* "user-early" is how systemd 256 and later log in root. sd_session_get_class(3) */
static bool is_of_a_person(const char *class, const char *state)
{
    return class && g_str_has_prefix(class, "user") && !g_str_equal(class, "user-incomplete") &&
           !(state && g_str_equal(state, "closing"));
}

Login *login_parse_session(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *user = value_of(lines, "USER");
    g_autofree char *class = value_of(lines, "CLASS");
    g_autofree char *state = value_of(lines, "STATE");
    g_autofree char *since_us = value_of(lines, "REALTIME");

    if (!user || !*user || !is_of_a_person(class, state))
        return NULL;
    Login *login = g_new0(Login, 1);
    login->user = g_steal_pointer(&user);
    login->since_us = since_us ? g_ascii_strtoll(since_us, NULL, 10) : 0;
    return login;
}

#ifdef HAVE_LIBSYSTEMD
/* The name is taken from logind's file and not from getpwuid(3): that may ask a directory service,
 * which answers when its cache is writable again - after the thaw that waits for us. The calls of
 * sd-login for the name and the time are of systemd 254. */
static void read_logind(GPtrArray *logins)
{
    char **sessions = NULL;
    int count = sd_get_sessions(&sessions);

    for (int i = 0; i < count; i++) {
        g_autofree char *path = g_build_filename("/run/systemd/sessions", sessions[i], NULL);
        g_autofree char *text = NULL;
        g_autoptr(Login) login =
            g_file_get_contents(path, &text, NULL, NULL) ? login_parse_session(text) : NULL;
        if (login)
            add(logins, login->user, login->since_us);
        free(sessions[i]);
    }
    free(sessions);
}
#else
static void read_logind(GPtrArray *logins)
{
}
#endif

GPtrArray *logins_read(GError **error)
{
    GPtrArray *logins = g_ptr_array_new_with_free_func((GDestroyNotify)login_free);

    if (access(_PATH_UTMP, R_OK) == 0)
        read_utmp(logins);
    else
        read_logind(logins);
    return logins;
}
