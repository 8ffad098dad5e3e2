/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/signals.h"

#include "agent/log.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TOPIC "main"

struct Signals {
    GMainLoop *loop;
    int fd;
    guint source;
};

static void on_end(Signals *signals, const struct signalfd_siginfo *info)
{
    log_info(TOPIC, "ending: signal %u (%s) from process %u", info->ssi_signo,
             strsignal((int)info->ssi_signo), info->ssi_pid);
    g_main_loop_quit(signals->loop);
}

static void on_reopen(Signals *signals, const struct signalfd_siginfo *info)
{
    log_reopen();
    log_info(TOPIC, "log reopened");
}

static void change_level(LogLevel level)
{
    /* Written when it is kept by both levels, the old or the new. */
    LogLevel old = log_level();
    log_set_level(MAX(old, level));
    log_write(MAX(old, level), TOPIC, "log level is now %s", log_level_name(level));
    log_set_level(level);
}

static void on_more(Signals *signals, const struct signalfd_siginfo *info)
{
    change_level(MIN(log_level() + 1, LOG_LEVEL_DEBUG));
}

static void on_less(Signals *signals, const struct signalfd_siginfo *info)
{
    change_level(MAX((int)log_level() - 1, (int)LOG_LEVEL_ERROR));
}

static const struct {
    int number;
    void (*act)(Signals *signals, const struct signalfd_siginfo *info);
} handled[] = {
    {SIGTERM, on_end},  {SIGINT, on_end},   {SIGHUP, on_reopen},
    {SIGUSR1, on_more}, {SIGUSR2, on_less},
};

static gboolean on_signal(int fd, GIOCondition condition, void *user_data)
{
    Signals *signals = user_data;
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == sizeof info)
        for (size_t i = 0; i < G_N_ELEMENTS(handled); i++)
            if (handled[i].number == (int)info.ssi_signo)
                handled[i].act(signals, &info);
    return G_SOURCE_CONTINUE;
}

Signals *signals_new(GMainLoop *loop, GError **error)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < G_N_ELEMENTS(handled); i++)
        sigaddset(&set, handled[i].number);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);

    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        int cause = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot listen for signals: signalfd: %s", g_strerror(cause));
        return NULL;
    }
    Signals *signals = g_new0(Signals, 1);
    signals->loop = loop;
    signals->fd = fd;
    signals->source = g_unix_fd_add(fd, G_IO_IN, on_signal, signals);
    return signals;
}

void signals_free(Signals *signals)
{
    if (signals == NULL)
        return;
    g_source_remove(signals->source);
    close(signals->fd);
    g_free(signals);
}
