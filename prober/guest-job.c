/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-job.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_LINE_BYTES 4096
/* Every line of the prober's begins so; with a guest's name before it once is enough. */
#define OWN_PREFIX "quiesce-probe: "

struct GuestJob {
    char *name;
    Progress *progress; /* borrowed */
    pid_t pid;
    int fds[GUEST_JOB_FDS]; /* the process, its standard output, its standard error; -1: done with
                             */
    GString *report;
    GString *line; /* of its standard error, so far */
    bool too_long;
    int wait_status;
};

enum { PROCESS, OUTPUT, ERRORS };

static G_NORETURN void run(pid_t parent, int output_fd, int errors_fd, GuestWork work, void *data)
{
    dup2(output_fd, STDOUT_FILENO);
    dup2(errors_fd, STDERR_FILENO);
    close(output_fd);
    close(errors_fd);
    /* Blocked here as in the parent (prober/interrupt.h): it reaches the work as an interrupt,
     * which thaws. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        raise(SIGTERM);
    exit(work(data));
}

/* Both pipes; nothing is left open after an error. */
static bool open_pipes(int pipes[2][2])
{
    if (pipe2(pipes[0], O_CLOEXEC) != 0)
        return false;
    if (pipe2(pipes[1], O_CLOEXEC) == 0) {
        fcntl(pipes[0][0], F_SETFL, O_NONBLOCK);
        fcntl(pipes[1][0], F_SETFL, O_NONBLOCK);
        return true;
    }
    int problem = errno;
    close(pipes[0][0]);
    close(pipes[0][1]);
    errno = problem;
    return false;
}

static GuestJob *job_new(const char *name, Progress *progress, pid_t pid, int output_fd,
                         int errors_fd)
{
    GuestJob *job = g_new0(GuestJob, 1);

    job->name = g_strdup(name);
    job->progress = progress;
    job->pid = pid;
    job->fds[PROCESS] = pidfd_open(pid, 0);
    job->fds[OUTPUT] = output_fd;
    job->fds[ERRORS] = errors_fd;
    job->report = g_string_new(NULL);
    job->line = g_string_new(NULL);
    return job;
}

GuestJob *guest_job_start(const char *name, GuestWork work, void *data, Progress *progress,
                          GError **error)
{
    int pipes[2][2];
    pid_t parent = getpid();

    /* Whatever is in the buffer would be printed by both. */
    fflush(NULL);
    bool open = open_pipes(pipes);
    pid_t pid = open ? fork() : -1;
    if (pid == 0)
        run(parent, pipes[0][1], pipes[1][1], work, data);
    int problem = errno;
    if (open) {
        close(pipes[0][1]);
        close(pipes[1][1]);
    }
    if (pid > 0)
        return job_new(name, progress, pid, pipes[0][0], pipes[1][0]);
    if (open) {
        close(pipes[0][0]);
        close(pipes[1][0]);
    }
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                "cannot start a process for this guest: %s (a lower --parallel needs fewer)",
                g_strerror(problem));
    return NULL;
}

static void close_fd(GuestJob *job, unsigned index)
{
    if (job->fds[index] >= 0)
        close(job->fds[index]);
    job->fds[index] = -1;
}

void guest_job_free(GuestJob *job)
{
    for (unsigned i = 0; i < GUEST_JOB_FDS; i++)
        close_fd(job, i);
    g_free(job->name);
    g_string_free(job->report, TRUE);
    g_string_free(job->line, TRUE);
    g_free(job);
}

void guest_job_signal(const GuestJob *job, int number)
{
    kill(job->pid, number);
}

void guest_job_poll(const GuestJob *job, struct pollfd *fds)
{
    for (unsigned i = 0; i < GUEST_JOB_FDS; i++)
        fds[i] = (struct pollfd){.fd = job->fds[i], .events = POLLIN};
}

static void take_report(GuestJob *job, const char *data, size_t length)
{
    if (job->too_long)
        return;
    job->too_long = job->report->len + length > GUEST_JOB_MAX_REPORT_BYTES;
    if (!job->too_long) {
        g_string_append_len(job->report, data, (gssize)length);
        return;
    }
    g_string_free(job->report, TRUE);
    job->report = g_string_new(NULL);
}

static void print_line(GuestJob *job)
{
    const char *text = job->line->str;

    if (g_str_has_prefix(text, OWN_PREFIX))
        text += strlen(OWN_PREFIX);
    if (*text != '\0') {
        progress_clear(job->progress);
        fprintf(stderr, "%s%s: %s\n", OWN_PREFIX, job->name, text);
    }
    g_string_truncate(job->line, 0);
}

static void take_errors(GuestJob *job, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] == '\n')
            print_line(job);
        else if (job->line->len < MAX_LINE_BYTES)
            g_string_append_c(job->line, data[i]);
    }
}

/* Reads what a pipe has now; at its end lets go of it. */
static void drain(GuestJob *job, unsigned index,
                  void (*take)(GuestJob *job, const char *data, size_t length))
{
    char buffer[16 * 1024];

    while (job->fds[index] >= 0) {
        ssize_t got = read(job->fds[index], buffer, sizeof buffer);
        if (got > 0)
            take(job, buffer, (size_t)got);
        else if (got < 0 && errno == EAGAIN)
            return;
        else if (got == 0 || errno != EINTR)
            close_fd(job, index);
    }
}

bool guest_job_advance(GuestJob *job)
{
    /* Asked for before the pipes are drained: what it wrote before its end is in them. */
    pid_t waited = waitpid(job->pid, &job->wait_status, WNOHANG);
    bool ended = waited != 0;

    if (waited < 0)
        job->wait_status = SIGKILL; /* no word of how it ended is no success */
    drain(job, OUTPUT, take_report);
    drain(job, ERRORS, take_errors);
    if (ended)
        print_line(job);
    return ended;
}

const char *guest_job_report(const GuestJob *job)
{
    return job->too_long ? NULL : job->report->str;
}

int guest_job_status(const GuestJob *job, int *number)
{
    *number = WIFSIGNALED(job->wait_status) ? WTERMSIG(job->wait_status) : 0;
    return WIFEXITED(job->wait_status) ? WEXITSTATUS(job->wait_status) : -1;
}
