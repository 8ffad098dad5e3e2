/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/worker-process.h"
#include "agent/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that sleeps in the kernel dies when it wakes up. */
#define REAP_POLL_MS 1000

typedef struct {
    WorkerProcessDone done;
    void *user_data;
    pid_t pid;
    int fd;
    int64_t timeout_ms;
    guint result_source;
    guint deadline_source;
    GString *result;
} Worker;

bool worker_process_write(int result_fd, const void *bytes, size_t length)
{
    const uint8_t *rest = bytes;

    while (length > 0) {
        ssize_t put = write(result_fd, rest, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        rest += put;
        length -= (size_t)put;
    }
    return true;
}

static gboolean reap_later(void *pid)
{
    return waitpid(GPOINTER_TO_INT(pid), NULL, WNOHANG) == 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static void end(Worker *worker, const GError *error)
{
    g_clear_handle_id(&worker->result_source, g_source_remove);
    g_clear_handle_id(&worker->deadline_source, g_source_remove);
    close(worker->fd);
    worker->done(worker->result->str, worker->result->len, error, worker->user_data);
    g_string_free(worker->result, TRUE);
    g_free(worker);
}

static void give_up(Worker *worker, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void give_up(Worker *worker, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autoptr(GError) error =
        g_error_new_valist(G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, format, arguments);
    va_end(arguments);
    kill(worker->pid, SIGKILL);
    if (waitpid(worker->pid, NULL, WNOHANG) == 0)
        g_timeout_add(REAP_POLL_MS, reap_later, GINT_TO_POINTER(worker->pid));
    end(worker, error);
}

static gboolean on_deadline(void *user_data)
{
    Worker *worker = user_data;

    worker->deadline_source = 0;
    give_up(worker, "still busy after %g s", (double)worker->timeout_ms / 1000);
    return G_SOURCE_REMOVE;
}

/* The end of the pipe is the end of the process, which closes it by ending. */
static void take_end(Worker *worker)
{
    g_autoptr(GError) error = NULL;
    int status = 0;

    waitpid(worker->pid, &status, 0);
    if (WIFSIGNALED(status))
        error = g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "killed by signal %d (%s)",
                            WTERMSIG(status), strsignal(WTERMSIG(status)));
    end(worker, error);
}

static gboolean on_result(int fd, GIOCondition condition, void *user_data)
{
    Worker *worker = user_data;
    char chunk[16 * 1024];
    ssize_t length = read(fd, chunk, sizeof chunk);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (length > 0 && worker->result->len + (size_t)length <= WORKER_PROCESS_RESULT_BYTES) {
        g_string_append_len(worker->result, chunk, length);
        return G_SOURCE_CONTINUE;
    }
    worker->result_source = 0;
    if (length > 0)
        give_up(worker, "the result exceeds %u bytes", WORKER_PROCESS_RESULT_BYTES);
    else
        take_end(worker);
    return G_SOURCE_REMOVE;
}

static G_NORETURN void run(const char *name, WorkerProcessBody body, void *data, int result_fd)
{
    sigset_t none;

    prctl(PR_SET_NAME, name);
    /* A copy of the freezer's socket kept open here would keep the freezer from hearing its end. */
    descriptors_close_others(result_fd, -1);
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    body(result_fd, data);
    _exit(0);
}

bool worker_process_start(const char *name, WorkerProcessBody body, void *data, int64_t timeout_ms,
                          WorkerProcessDone done, void *user_data, GError **error)
{
    int ends[2];

    if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
        return false;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        run(name, body, data, ends[1]);
    }
    int cause = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FORK, "cannot fork: %s", g_strerror(cause));
        return false;
    }
    Worker *worker = g_new0(Worker, 1);
    *worker = (Worker){.done = done, .user_data = user_data, .pid = pid, .fd = ends[0]};
    worker->timeout_ms = timeout_ms;
    worker->result = g_string_new(NULL);
    worker->result_source = g_unix_fd_add(ends[0], G_IO_IN | G_IO_HUP, on_result, worker);
    if (timeout_ms > 0)
        worker->deadline_source = g_timeout_add((guint)timeout_ms, on_deadline, worker);
    return true;
}
