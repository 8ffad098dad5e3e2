/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/guest-processes.h"
#include "agent/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* For kernels before 5.3, which have no pidfd. */
#define EXIT_POLL_INTERVAL_MS 20

/* One of the program's standard streams; fd is -1 when it is not, or no longer, ours to serve. */
typedef struct {
    int fd;
    guint source;
    uint8_t *input; /* what is to be fed, and how far that has got */
    size_t input_bytes;
    size_t fed_bytes;
    GByteArray *kept; /* what came; NULL: nothing is kept */
    bool truncated;
} Stream;

typedef struct {
    GuestProcesses *owner;
    GuestProcessStarted started;
    void *user_data;
    pid_t pid;
    int exec_fd;
    int pid_fd;
    guint exec_source;
    guint exit_source;
    guint linger_source;
    bool exited;
    bool ended;
    int wait_status;
    Stream input;
    Stream output;
    Stream error;
} GuestProcess;

struct GuestProcesses {
    GPtrArray *all; /* of GuestProcess, the oldest first */
};

/* ---- streams ---- */

static void stream_close(Stream *stream)
{
    g_clear_handle_id(&stream->source, g_source_remove);
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
}

static void stream_clear(Stream *stream)
{
    stream_close(stream);
    g_clear_pointer(&stream->input, g_free);
    g_clear_pointer(&stream->kept, g_byte_array_unref);
}

static void keep(Stream *stream, const uint8_t *bytes, size_t length)
{
    size_t room = GUEST_PROCESS_OUTPUT_BYTES - stream->kept->len;

    g_byte_array_append(stream->kept, bytes, (guint)MIN(length, room));
    stream->truncated |= length > room;
}

static void end_if_over(GuestProcess *process);

static gboolean stream_readable(int fd, GIOCondition condition, void *user_data)
{
    GuestProcess *process = user_data;
    Stream *stream = fd == process->output.fd ? &process->output : &process->error;
    uint8_t chunk[16 * 1024];
    ssize_t length = read(fd, chunk, sizeof chunk);

    if (length > 0) {
        keep(stream, chunk, (size_t)length);
        return G_SOURCE_CONTINUE;
    }
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    stream->source = 0;
    stream_close(stream);
    end_if_over(process);
    return G_SOURCE_REMOVE;
}

/* A program that does not want its input, or ends without it, does no harm. */
static gboolean stream_writable(int fd, GIOCondition condition, void *user_data)
{
    Stream *stream = user_data;
    ssize_t length =
        write(fd, stream->input + stream->fed_bytes, stream->input_bytes - stream->fed_bytes);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    if (length > 0)
        stream->fed_bytes += (size_t)length;
    if (length >= 0 && stream->fed_bytes < stream->input_bytes)
        return G_SOURCE_CONTINUE;
    stream->source = 0;
    stream_close(stream);
    g_clear_pointer(&stream->input, g_free);
    return G_SOURCE_REMOVE;
}

/* ---- the end ---- */

static void process_free(void *data)
{
    GuestProcess *process = data;

    g_clear_handle_id(&process->exec_source, g_source_remove);
    g_clear_handle_id(&process->exit_source, g_source_remove);
    g_clear_handle_id(&process->linger_source, g_source_remove);
    if (process->exec_fd >= 0)
        close(process->exec_fd);
    if (process->pid_fd >= 0)
        close(process->pid_fd);
    stream_clear(&process->input);
    stream_clear(&process->output);
    stream_clear(&process->error);
    g_free(process);
}

static void forget_oldest(GuestProcesses *processes)
{
    unsigned ended = 0;

    for (unsigned i = processes->all->len; i-- > 0;) {
        const GuestProcess *process = g_ptr_array_index(processes->all, i);
        if (process->ended && ++ended > GUEST_PROCESSES_MAX_ENDED)
            g_ptr_array_remove_index(processes->all, i);
    }
}

static void end(GuestProcess *process)
{
    process->ended = true;
    g_clear_handle_id(&process->linger_source, g_source_remove);
    stream_close(&process->input);
    stream_close(&process->output);
    stream_close(&process->error);
    forget_oldest(process->owner);
}

static gboolean on_lingered(void *user_data)
{
    GuestProcess *process = user_data;

    process->linger_source = 0;
    end(process);
    return G_SOURCE_REMOVE;
}

static void end_if_over(GuestProcess *process)
{
    if (process->exited && !process->ended && process->output.fd < 0 && process->error.fd < 0)
        end(process);
}

static void take_exit(GuestProcess *process)
{
    waitpid(process->pid, &process->wait_status, 0);
    process->exit_source = 0;
    process->exited = true;
    stream_clear(&process->input); /* what it did not want may be tens of megabytes */
    process->linger_source = g_timeout_add(GUEST_PROCESS_LINGER_MS, on_lingered, process);
    end_if_over(process);
}

static gboolean on_exit_event(int fd, GIOCondition condition, void *user_data)
{
    take_exit(user_data);
    return G_SOURCE_REMOVE;
}

static gboolean on_exit_poll(void *user_data)
{
    GuestProcess *process = user_data;
    siginfo_t info = {0};

    if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == 0)
        return G_SOURCE_CONTINUE;
    take_exit(process);
    return G_SOURCE_REMOVE;
}

/* ---- the start ---- */

static void watch(GuestProcess *process)
{
    process->pid_fd = (int)syscall(SYS_pidfd_open, process->pid, 0u);
    process->exit_source = process->pid_fd >= 0
                               ? g_unix_fd_add(process->pid_fd, G_IO_IN, on_exit_event, process)
                               : g_timeout_add(EXIT_POLL_INTERVAL_MS, on_exit_poll, process);
    if (process->output.fd >= 0)
        process->output.source =
            g_unix_fd_add(process->output.fd, G_IO_IN | G_IO_HUP, stream_readable, process);
    if (process->error.fd >= 0)
        process->error.source =
            g_unix_fd_add(process->error.fd, G_IO_IN | G_IO_HUP, stream_readable, process);
    if (process->input.fd >= 0)
        process->input.source =
            g_unix_fd_add(process->input.fd, G_IO_OUT | G_IO_ERR, stream_writable, &process->input);
}

/* The kernel gives numbers again: the one that the host is told must name one process only. */
static void forget_namesake(GuestProcesses *processes, const GuestProcess *namesake)
{
    for (unsigned i = processes->all->len; i-- > 0;) {
        const GuestProcess *process = g_ptr_array_index(processes->all, i);
        if (process != namesake && process->pid == namesake->pid)
            g_ptr_array_remove_index(processes->all, i);
    }
}

static gboolean on_exec_settled(int fd, GIOCondition condition, void *user_data)
{
    GuestProcess *process = user_data;
    g_autoptr(GError) error = NULL;
    int exec_errno = 0;

    process->exec_source = 0;
    if (read(fd, &exec_errno, sizeof exec_errno) != sizeof exec_errno) {
        watch(process);
        process->started(process->pid, NULL, process->user_data);
        return G_SOURCE_REMOVE;
    }
    g_set_error(&error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "%s%s", g_strerror(exec_errno),
                exec_errno == ENOEXEC ? " (a script begins with a line like #!/bin/sh)" : "");
    waitpid(process->pid, NULL, 0); /* it has nothing left to do but _exit() */
    process->started(0, error, process->user_data);
    g_ptr_array_remove(process->owner->all, process);
    return G_SOURCE_REMOVE;
}

/* ours: which end of the pipe is the agent's. */
static bool make_pipe(Stream *stream, unsigned ours, int *theirs)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    stream->fd = ends[ours];
    *theirs = ends[1 - ours];
    fcntl(stream->fd, F_SETFL, O_NONBLOCK);
    return true;
}

static bool make_pipes(GuestProcess *process, const GuestProcessOptions *options, int theirs[3])
{
    bool wants_output = options->output & GUEST_PROCESS_KEEP_OUTPUT;
    bool wants_error = options->output & GUEST_PROCESS_KEEP_ERROR;

    process->input.input = options->input;
    process->input.input_bytes = options->input_bytes;
    if (wants_output)
        process->output.kept = g_byte_array_new();
    if (wants_error)
        process->error.kept = g_byte_array_new();
    return (!options->input || make_pipe(&process->input, 1, &theirs[0])) &&
           (!wants_output || make_pipe(&process->output, 0, &theirs[1])) &&
           (!wants_error || make_pipe(&process->error, 0, &theirs[2]));
}

/* What the service manager told the agent is not for others. sd_notify(3), sd_listen_fds(3) */
static char **own_environment(void)
{
    static const char *const private_names[] = {"NOTIFY_SOCKET", "WATCHDOG_PID",  "WATCHDOG_USEC",
                                                "LISTEN_PID",    "LISTEN_FDS",    "LISTEN_FDNAMES",
                                                "INVOCATION_ID", "JOURNAL_STREAM"};
    char **environment = g_get_environ();

    for (unsigned i = 0; i < G_N_ELEMENTS(private_names); i++)
        environment = g_environ_unsetenv(environment, private_names[i]);
    return environment;
}

static bool run(GuestProcess *process, const GuestProcessOptions *options)
{
    int theirs[3] = {-1, -1, -1};
    g_auto(GStrv) environment = options->environment ? NULL : own_environment();

    if (make_pipes(process, options, theirs)) {
        SpawnOptions spawn = {
            .argv = options->argv,
            .environment =
                options->environment ? options->environment : (const char *const *)environment,
            .search_path = true,
            .input_fd = theirs[0],
            .output_fd = theirs[1],
            .error_fd = options->output & GUEST_PROCESS_MERGE ? theirs[1] : theirs[2],
        };
        process->pid = spawn_program(&spawn, &process->exec_fd);
    }
    int cause = errno;
    for (unsigned i = 0; i < 3; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    errno = cause;
    return process->pid > 0;
}

static bool check_room(const GuestProcesses *processes, GError **error)
{
    unsigned running = 0;

    for (unsigned i = 0; i < processes->all->len; i++)
        running += !((const GuestProcess *)g_ptr_array_index(processes->all, i))->ended;
    if (running < GUEST_PROCESSES_MAX_RUNNING)
        return true;
    g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                "%d programs that a host started are running already", GUEST_PROCESSES_MAX_RUNNING);
    return false;
}

bool guest_processes_start(GuestProcesses *processes, const GuestProcessOptions *options,
                           GuestProcessStarted started, void *user_data, GError **error)
{
    if (!check_room(processes, error)) {
        g_free(options->input);
        return false;
    }
    GuestProcess *process = g_new0(GuestProcess, 1);
    process->owner = processes;
    process->started = started;
    process->user_data = user_data;
    process->pid = -1;
    process->exec_fd = process->pid_fd = -1;
    process->input.fd = process->output.fd = process->error.fd = -1;
    if (!run(process, options)) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FORK, "%s", g_strerror(errno));
        process_free(process);
        return false;
    }
    g_ptr_array_add(processes->all, process);
    forget_namesake(processes, process);
    process->exec_source =
        g_unix_fd_add(process->exec_fd, G_IO_IN | G_IO_HUP, on_exec_settled, process);
    return true;
}

/* ---- asking ---- */

static GuestProcess *find(const GuestProcesses *processes, int64_t pid)
{
    for (unsigned i = 0; i < processes->all->len; i++) {
        GuestProcess *process = g_ptr_array_index(processes->all, i);
        if (process->pid == pid && process->exec_source == 0)
            return process;
    }
    return NULL;
}

bool guest_processes_look(GuestProcesses *processes, int64_t pid, GuestProcessState *state,
                          GError **error)
{
    const GuestProcess *process = find(processes, pid);

    if (!process) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                    "PID %" G_GINT64_FORMAT " does not exist", pid);
        return false;
    }
    *state = (GuestProcessState){.ended = process->ended, .wait_status = process->wait_status};
    if (process->output.kept) {
        state->output = process->output.kept->data;
        state->output_bytes = process->output.kept->len;
        state->output_truncated = process->output.truncated;
    }
    if (process->error.kept) {
        state->error = process->error.kept->data;
        state->error_bytes = process->error.kept->len;
        state->error_truncated = process->error.truncated;
    }
    return true;
}

void guest_processes_forget(GuestProcesses *processes, int64_t pid)
{
    GuestProcess *process = find(processes, pid);

    if (process && process->ended)
        g_ptr_array_remove(processes->all, process);
}

GuestProcesses *guest_processes_new(void)
{
    GuestProcesses *processes = g_new0(GuestProcesses, 1);

    processes->all = g_ptr_array_new_with_free_func(process_free);
    return processes;
}

void guest_processes_free(GuestProcesses *processes)
{
    if (!processes)
        return;
    g_ptr_array_unref(processes->all);
    g_free(processes);
}
