/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/spawn.h"
#include "agent/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void settle_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool settle_descriptors(const SpawnOptions *options, int exec_fd)
{
    const int wanted[] = {options->input_fd, options->output_fd, options->error_fd};
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0)
        return false;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(wanted[fd] >= 0 ? wanted[fd] : null_fd, fd) < 0)
            return false;
    descriptors_close_others(exec_fd, -1);
    return true;
}

static G_NORETURN void run_program(const SpawnOptions *options, int exec_fd)
{
    char *const *argv = (char *const *)options->argv;
    char *const *environment = (char *const *)options->environment;

    setsid();
    settle_signals();
    umask(022);
    if (settle_descriptors(options, exec_fd) && chdir("/") == 0) {
        if (options->search_path)
            execvpe(argv[0], argv, environment);
        else
            execve(argv[0], argv, environment);
    }
    int cause = errno;
    ssize_t ignored = write(exec_fd, &cause, sizeof cause);
    (void)ignored;
    _exit(127);
}

pid_t spawn_program(const SpawnOptions *options, int *exec_fd)
{
    int exec[2];

    if (pipe2(exec, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run_program(options, exec[1]);
    int cause = errno;
    close(exec[1]);
    if (pid < 0)
        close(exec[0]);
    else
        *exec_fd = exec[0];
    errno = cause;
    return pid;
}
