/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/command-run.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct CommandRun {
    pid_t pid;
    int pid_fd;
    int terminal_fd; /* whose foreground the command has; -1: none */
    bool ended;
    CommandEnd end;
};

/* The terminal that we are in the foreground of, -1 when there is none. */
static int open_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (fd >= 0 && tcgetpgrp(fd) == getpgrp())
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t ignored;

    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &ignored);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                             POSIX_SPAWN_SETSIGDEF);
}

static int spawn(CommandRun *run, const char *const *arguments, int out_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    set_attributes(&attributes);
    if (run->terminal_fd >= 0)
        posix_spawn_file_actions_addtcsetpgrp_np(&actions, run->terminal_fd);
    if (out_fd != STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    int cause = posix_spawnp(&run->pid, arguments[0], &actions, &attributes,
                             (char *const *)(gpointer)arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return cause;
}

/* A process of the background that takes the foreground is stopped by SIGTTOU, unless blocked. */
static void take_terminal_back(CommandRun *run)
{
    sigset_t ttou;
    sigset_t before;

    if (run->terminal_fd < 0)
        return;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    sigprocmask(SIG_BLOCK, &ttou, &before);
    tcsetpgrp(run->terminal_fd, getpgrp());
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(run->terminal_fd);
    run->terminal_fd = -1;
}

CommandRun *command_run_start(const char *const *arguments, int out_fd, GError **error)
{
    g_autoptr(CommandRun) run = g_new0(CommandRun, 1);

    run->pid_fd = -1;
    run->terminal_fd = open_terminal();
    int cause = spawn(run, arguments, out_fd);
    if (cause == 0) {
        run->pid_fd = pidfd_open(run->pid, 0);
        if (run->pid_fd >= 0)
            return g_steal_pointer(&run);
        cause = errno;
        kill(-run->pid, SIGTERM);
    }
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "cannot run '%s': %s", arguments[0],
                g_strerror(cause));
    return NULL;
}

int command_run_fd(const CommandRun *run)
{
    return run->pid_fd;
}

void command_run_signal(CommandRun *run, int number)
{
    if (!run->ended)
        kill(-run->pid, number);
}

bool command_run_ended(CommandRun *run, CommandEnd *end)
{
    siginfo_t info = {0};

    if (!run->ended &&
        waitid(P_PIDFD, (id_t)run->pid_fd, &info, WEXITED | WSTOPPED | WNOHANG) == 0 &&
        info.si_pid != 0) {
        if (info.si_code == CLD_STOPPED) {
            kill(-run->pid, SIGCONT);
        } else {
            run->ended = true;
            run->end =
                (CommandEnd){.by_signal = info.si_code != CLD_EXITED, .number = info.si_status};
            take_terminal_back(run);
        }
    }
    *end = run->end;
    return run->ended;
}

void command_run_free(CommandRun *run)
{
    take_terminal_back(run);
    if (run->pid_fd >= 0)
        close(run->pid_fd);
    g_free(run);
}

char *command_end_text(const CommandEnd *end)
{
    if (!end->by_signal)
        return g_strdup_printf("ended with exit status %d", end->number);
    const char *name = sigabbrev_np(end->number);
    return name ? g_strdup_printf("was ended by SIG%s", name)
                : g_strdup_printf("was ended by signal %d", end->number);
}
