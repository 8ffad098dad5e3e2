/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/child-process.h"
#include "agent/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is in the pipe when the program ends was written by the program; more than a pipe's fill can
 * only come from somebody who goes on writing. pipe(7): /proc/sys/fs/pipe-max-size. */
#define DRAIN_MAX_BYTES (1024 * 1024)

/* For kernels before 5.3, which have no pidfd. */
#define EXIT_POLL_INTERVAL_MS 20

static const char *const environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C",
    NULL,
};

struct ChildProcess {
    ChildProcessDone done;
    void *user_data;
    ChildProcessEnd end;
    GError *error;
    GString *output;
    size_t output_max_bytes;
    int64_t timeout_ms;
    int64_t start_time_us; /* monotonic */
    pid_t pid;             /* 0 once it has been waited for */
    bool timed_out;
    int output_fd;
    int exec_fd; /* tells the errno of a failed exec */
    int pid_fd;  /* -1 where the kernel has none */
    guint output_source;
    guint exit_source;
    guint timer_source;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Killing and waiting. */

static void kill_group(pid_t pid, int number)
{
    /* The group exists only once the child has called setsid(). */
    kill(-pid, number);
    kill(pid, number);
}

static gboolean reap_abandoned(void *user_data)
{
    pid_t pid = GPOINTER_TO_INT(user_data);
    return waitpid(pid, NULL, WNOHANG) == 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean on_abandoned_exit(int pid_fd, GIOCondition condition, void *user_data)
{
    close(pid_fd);
    reap_abandoned(user_data);
    return G_SOURCE_REMOVE;
}

/* A process killed while it sleeps in the kernel dies later, after everybody has lost interest. */
static void abandon(ChildProcess *child)
{
    kill_group(child->pid, SIGKILL);
    void *pid = GINT_TO_POINTER(child->pid);
    if (child->pid_fd >= 0)
        g_unix_fd_add(child->pid_fd, G_IO_IN, on_abandoned_exit, pid);
    else
        g_timeout_add(EXIT_POLL_INTERVAL_MS, reap_abandoned, pid);
    child->pid_fd = -1;
    child->pid = 0;
}

void child_process_free(ChildProcess *child)
{
    if (child == NULL)
        return;
    g_clear_handle_id(&child->output_source, g_source_remove);
    g_clear_handle_id(&child->exit_source, g_source_remove);
    g_clear_handle_id(&child->timer_source, g_source_remove);
    if (child->pid != 0)
        abandon(child);
    close_fd(&child->output_fd);
    close_fd(&child->exec_fd);
    close_fd(&child->pid_fd);
    g_clear_error(&child->error);
    if (child->output != NULL)
        g_string_free(child->output, TRUE);
    g_free(child);
}

/* Output. */

/* Returns the number of bytes read, 0 at the end, negative when there is nothing now. */
static ssize_t read_output(ChildProcess *child)
{
    char buffer[16 * 1024];
    ssize_t length;
    do
        length = read(child->output_fd, buffer, sizeof buffer);
    while (length < 0 && errno == EINTR);
    if (length <= 0)
        return length;
    size_t room = child->output_max_bytes - child->output->len;
    size_t kept = MIN((size_t)length, room);
    g_string_append_len(child->output, buffer, (gssize)kept);
    child->end.dropped_bytes += (size_t)length - kept;
    return length;
}

static gboolean on_output(int fd, GIOCondition condition, void *user_data)
{
    ChildProcess *child = user_data;
    ssize_t length = read_output(child);
    if (length > 0 || (length < 0 && errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    child->output_source = 0;
    return G_SOURCE_REMOVE;
}

static void drain_output(ChildProcess *child)
{
    ssize_t length, total = 0;
    while (total < DRAIN_MAX_BYTES && (length = read_output(child)) > 0)
        total += length;
}

/* The end. */

static void set_error(ChildProcess *child, int wait_status)
{
    int exec_errno = 0;
    GQuark domain = G_SPAWN_ERROR;
    if (read(child->exec_fd, &exec_errno, sizeof exec_errno) == sizeof exec_errno)
        g_set_error(&child->error, domain, G_SPAWN_ERROR_FAILED, "cannot be run: %s%s",
                    g_strerror(exec_errno),
                    exec_errno == ENOEXEC ? " (a script begins with a line like #!/bin/sh)" : "");
    else if (child->timed_out)
        g_set_error(&child->error, domain, G_SPAWN_ERROR_FAILED, "still running after %g s: killed",
                    (double)child->timeout_ms / 1000);
    else if (WIFSIGNALED(wait_status))
        g_set_error(&child->error, domain, G_SPAWN_ERROR_FAILED, "killed by signal %d (%s)",
                    WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)));
    else if (WEXITSTATUS(wait_status) != 0)
        g_set_error(&child->error, domain, G_SPAWN_ERROR_FAILED, "exit status %d",
                    WEXITSTATUS(wait_status));
}

static void finish(ChildProcess *child, int wait_status)
{
    g_clear_handle_id(&child->output_source, g_source_remove);
    g_clear_handle_id(&child->exit_source, g_source_remove);
    g_clear_handle_id(&child->timer_source, g_source_remove);
    drain_output(child);
    set_error(child, wait_status);
    child->end.error = child->error;
    child->end.output = child->output->str;
    child->end.output_bytes = child->output->len;
    child->end.duration_us = g_get_monotonic_time() - child->start_time_us;
    child->done(&child->end, child->user_data);
}

static void take_exit(ChildProcess *child)
{
    int wait_status = 0;
    /* Before the wait: only now is the group's number certainly still this group's. */
    if (child->timed_out)
        kill_group(child->pid, SIGKILL);
    waitpid(child->pid, &wait_status, 0);
    child->pid = 0;
    finish(child, wait_status);
}

static gboolean on_exit_event(int pid_fd, GIOCondition condition, void *user_data)
{
    ChildProcess *child = user_data;
    child->exit_source = 0;
    take_exit(child);
    return G_SOURCE_REMOVE;
}

static gboolean on_exit_poll(void *user_data)
{
    ChildProcess *child = user_data;
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == 0)
        return G_SOURCE_CONTINUE;
    child->exit_source = 0;
    take_exit(child);
    return G_SOURCE_REMOVE;
}

/* The deadline, in steps of CHILD_PROCESS_GRACE_MS: SIGTERM, SIGKILL, nobody waits any longer. */

static gboolean on_unkillable(void *user_data)
{
    ChildProcess *child = user_data;
    child->timer_source = 0;
    finish(child, 0);
    return G_SOURCE_REMOVE;
}

static gboolean on_grace_over(void *user_data)
{
    ChildProcess *child = user_data;
    kill_group(child->pid, SIGKILL);
    child->timer_source = g_timeout_add(CHILD_PROCESS_GRACE_MS, on_unkillable, child);
    return G_SOURCE_REMOVE;
}

static gboolean on_deadline(void *user_data)
{
    ChildProcess *child = user_data;
    child->timed_out = true;
    kill_group(child->pid, SIGTERM);
    child->timer_source = g_timeout_add(CHILD_PROCESS_GRACE_MS, on_grace_over, child);
    return G_SOURCE_REMOVE;
}

/* The start. */

/* A pipe takes that much without a reader (pipe(7)). -1 with errno; no input is /dev/null, -1 too.
 */
static bool make_input(const char *input, size_t input_bytes, int *input_fd)
{
    int ends[2];
    *input_fd = -1;
    if (input == NULL)
        return true;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *input_fd = ends[0];
    bool written = write(ends[1], input, input_bytes) == (ssize_t)input_bytes;
    close(ends[1]);
    return written;
}

static bool fork_program(ChildProcess *child, const char *const *argv, int input_fd)
{
    int output[2] = {-1, -1};
    if (pipe2(output, O_CLOEXEC) < 0)
        return false;
    child->output_fd = output[0];
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    SpawnOptions options = {
        .argv = argv,
        .environment = environment,
        .input_fd = input_fd,
        .output_fd = output[1],
        .error_fd = output[1],
    };
    child->pid = spawn_program(&options, &child->exec_fd);
    int cause = errno;
    close_fd(&output[1]);
    errno = cause;
    return child->pid > 0;
}

static void watch(ChildProcess *child)
{
    child->output_source = g_unix_fd_add(child->output_fd, G_IO_IN, on_output, child);
    child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0u);
    child->exit_source = child->pid_fd >= 0
                             ? g_unix_fd_add(child->pid_fd, G_IO_IN, on_exit_event, child)
                             : g_timeout_add(EXIT_POLL_INTERVAL_MS, on_exit_poll, child);
    if (child->timeout_ms > 0)
        child->timer_source =
            g_timeout_add((guint)MIN(child->timeout_ms, G_MAXUINT), on_deadline, child);
}

ChildProcess *child_process_start(const char *const *argv, int64_t timeout_ms,
                                  size_t output_max_bytes, ChildProcessDone done, void *user_data,
                                  GError **error)
{
    return child_process_start_with_input(argv, NULL, 0, timeout_ms, output_max_bytes, done,
                                          user_data, error);
}

ChildProcess *child_process_start_with_input(const char *const *argv, const char *input,
                                             size_t input_bytes, int64_t timeout_ms,
                                             size_t output_max_bytes, ChildProcessDone done,
                                             void *user_data, GError **error)
{
    int input_fd;
    g_autoptr(ChildProcess) child = g_new0(ChildProcess, 1);
    child->done = done;
    child->user_data = user_data;
    child->timeout_ms = timeout_ms;
    child->output_max_bytes = output_max_bytes;
    child->output = g_string_new(NULL);
    child->output_fd = child->exec_fd = child->pid_fd = -1;
    child->start_time_us = g_get_monotonic_time();
    bool forked = make_input(input, input_bytes, &input_fd) && fork_program(child, argv, input_fd);
    int cause = errno;
    close_fd(&input_fd);
    if (!forked) {
        child->pid = 0;
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FORK, "cannot be run: %s",
                    g_strerror(cause));
        return NULL;
    }
    watch(child);
    return g_steal_pointer(&child);
}
