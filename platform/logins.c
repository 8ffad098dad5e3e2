/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/logins.h"

#include "build-config.h"

#include <paths.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <utmpx.h>
#ifdef HAVE_LIBSYSTEMD
#include <pwd.h>
#include <stdlib.h>
#include <systemd/sd-login.h>
#endif

static void login_free(void *data)
{
    Login *login = data;

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

#ifdef HAVE_LIBSYSTEMD
/* sd_session_get_start_time(3) is of systemd 254; before, it is in logind's own file. */
static int64_t session_start_us(const char *session)
{
    g_autofree char *path = g_build_filename("/run/systemd/sessions", session, NULL);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return 0;
    const char *line = strstr(text, "\nREALTIME=");
    return line ? g_ascii_strtoll(line + strlen("\nREALTIME="), NULL, 10) : 0;
}

static void read_logind(GPtrArray *logins)
{
    char **sessions = NULL;
    int count = sd_get_sessions(&sessions);

    for (int i = 0; i < count; i++) {
        g_autofree char *class = NULL;
        uid_t uid;
        if (sd_session_get_uid(sessions[i], &uid) < 0 ||
            sd_session_get_class(sessions[i], &class) < 0 || !g_str_equal(class, "user"))
            continue;
        const struct passwd *user = getpwuid(uid);
        if (user)
            add(logins, user->pw_name, session_start_us(sessions[i]));
    }
    for (int i = 0; i < count; i++)
        free(sessions[i]);
    free(sessions);
}
#else
static void read_logind(GPtrArray *logins)
{
}
#endif

GPtrArray *logins_read(GError **error)
{
    GPtrArray *logins = g_ptr_array_new_with_free_func(login_free);

    if (access(_PATH_UTMP, R_OK) == 0)
        read_utmp(logins);
    else
        read_logind(logins);
    return logins;
}
