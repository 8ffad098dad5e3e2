/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/interrupt.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct Interrupt {
    int fd;
};

Interrupt *interrupt_new(GError **error)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    int fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_INTERRUPTED, "cannot watch for signals: %s",
                    g_strerror(errno));
        return NULL;
    }
    Interrupt *interrupt = g_new0(Interrupt, 1);
    interrupt->fd = fd;
    return interrupt;
}

void interrupt_free(Interrupt *interrupt)
{
    close(interrupt->fd);
    g_free(interrupt);
}

int interrupt_fd(const Interrupt *interrupt)
{
    return interrupt->fd;
}

/* Unless it is taken, the signal is never read from the descriptor, which therefore stays readable.
 */
static const char *pending_name(void)
{
    sigset_t pending;

    sigpending(&pending);
    if (sigismember(&pending, SIGINT) == 1)
        return "SIGINT";
    return sigismember(&pending, SIGTERM) == 1 ? "SIGTERM" : "SIGHUP";
}

static bool wait_for_signal(const Interrupt *interrupt, int64_t end_us)
{
    struct pollfd fd = {.fd = interrupt->fd, .events = POLLIN};

    for (;;) {
        int64_t left_us = MAX(end_us - g_get_monotonic_time(), 0);
        struct timespec left = {.tv_sec = left_us / G_USEC_PER_SEC,
                                .tv_nsec = (long)(left_us % G_USEC_PER_SEC) * 1000};
        int ready = ppoll(&fd, 1, &left, NULL);
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

bool interrupt_sleep(Interrupt *interrupt, int64_t sleep_us, GError **error)
{
    if (!wait_for_signal(interrupt, g_get_monotonic_time() + sleep_us))
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_INTERRUPTED, "interrupted by %s", pending_name());
    return false;
}

bool interrupt_check(Interrupt *interrupt, GError **error)
{
    return !interrupt_sleep(interrupt, 0, error);
}

int interrupt_take(Interrupt *interrupt)
{
    struct signalfd_siginfo info;
    ssize_t got = read(interrupt->fd, &info, sizeof info);

    return got == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

int interrupt_signal(const Interrupt *interrupt)
{
    struct pollfd fd = {.fd = interrupt->fd, .events = POLLIN};
    sigset_t pending;

    if (poll(&fd, 1, 0) <= 0 || sigpending(&pending) != 0)
        return 0;
    if (sigismember(&pending, SIGINT) == 1)
        return SIGINT;
    return sigismember(&pending, SIGTERM) == 1 ? SIGTERM : SIGHUP;
}
