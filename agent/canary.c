/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/canary.h"

#include "agent/descriptors.h"
#include "agent/freeze-board.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITE_BYTES 4096
#define WRITER_STACK_BYTES (64u * 1024)
/* The newest writes that are remembered one by one; a frozen filesystem adds none. */
#define STAMPS 4096

typedef struct {
    int64_t began_at;
    int64_t ended_at;
} Stamp;

/* Shared with the writers' process. */
typedef struct {
    char path[PATH_MAX];
    _Atomic uint64_t writes;
    _Atomic int error_number;
    int64_t longest_gap_us;
    int64_t gap_start_at;
    int64_t gap_end_at;
    Stamp stamps[STAMPS]; /* the write with number n is at n % STAMPS */
} Writer;

struct Canary {
    pid_t pid;
    unsigned n_writers;
    Writer *writers;
};

/* ---- the writers' process ---- */

static int open_unlinked(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
        return fd;
    g_autofree char *path = g_strdup_printf("%s/.quiesced-canary-XXXXXX", directory);
    fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static void note_write(Writer *writer, uint64_t number, Stamp stamp)
{
    if (number > 0) {
        int64_t previous = writer->stamps[(number - 1) % STAMPS].ended_at;
        if (stamp.ended_at - previous > writer->longest_gap_us) {
            writer->longest_gap_us = stamp.ended_at - previous;
            writer->gap_start_at = previous;
            writer->gap_end_at = stamp.ended_at;
        }
    }
    writer->stamps[number % STAMPS] = stamp;
    atomic_store(&writer->writes, number + 1);
}

static bool has_room(int fd)
{
    struct statvfs status;

    if (fstatvfs(fd, &status) < 0 ||
        (uint64_t)status.f_bavail * status.f_frsize >= CANARY_MIN_FREE_BYTES)
        return true; /* who cannot tell lets the write find out */
    errno = ENOSPC;
    return false;
}

static bool write_once(int fd, Writer *writer, uint64_t number)
{
    char block[WRITE_BYTES] = "";
    Stamp stamp = {.began_at = freeze_clock_now()};

    snprintf(block, sizeof block, "quiesced canary %" G_GUINT64_FORMAT " at %" G_GINT64_FORMAT "\n",
             number, stamp.began_at);
    if (pwrite(fd, block, sizeof block, 0) != sizeof block)
        return false;
    stamp.ended_at = freeze_clock_now();
    note_write(writer, number, stamp);
    return number % CANARY_FLUSH_EVERY != 0 || (has_room(fd) && fdatasync(fd) == 0);
}

static void *write_until_killed(void *data)
{
    Writer *writer = data;
    int fd = open_unlinked(writer->path);

    for (uint64_t number = 0; fd >= 0 && write_once(fd, writer, number); number++)
        nanosleep(&(struct timespec){.tv_nsec = CANARY_INTERVAL_MS * 1000000L}, NULL);
    atomic_store(&writer->error_number, errno ? errno : ENOSPC);
    return NULL;
}

G_NORETURN static void run_writers(Canary *canary, pid_t daemon_pid)
{
    pthread_attr_t attributes;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != daemon_pid)
        _exit(0); /* it died before the line above */
    prctl(PR_SET_NAME, "quiesced-canary");
    signal(SIGTERM, SIG_DFL);
    descriptors_close_others(-1, -1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WRITER_STACK_BYTES);
    for (unsigned i = 0; i < canary->n_writers; i++) {
        pthread_t thread;
        int error_number =
            pthread_create(&thread, &attributes, write_until_killed, &canary->writers[i]);
        if (error_number != 0)
            atomic_store(&canary->writers[i].error_number, error_number);
    }
    for (;;)
        pause();
}

/* ---- the daemon's side ---- */

static void writer_path(Writer *writer, const FreezeTarget *target)
{
    if (target->namespace_pid)
        g_snprintf(writer->path, sizeof writer->path, "/proc/%d/root%s", (int)target->namespace_pid,
                   target->mount_point);
    else
        g_strlcpy(writer->path, target->mount_point, sizeof writer->path);
}

Canary *canary_start(const FreezePlan *plan, GError **error)
{
    g_autofree Canary *canary = g_new0(Canary, 1);

    canary->n_writers = plan->targets->len;
    canary->writers = mmap(NULL, (canary->n_writers + 1) * sizeof(Writer), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (canary->writers != MAP_FAILED) {
        for (unsigned i = 0; i < canary->n_writers; i++)
            writer_path(&canary->writers[i], g_ptr_array_index(plan->targets, i));
        pid_t daemon_pid = getpid();
        canary->pid = fork();
        if (canary->pid == 0)
            run_writers(canary, daemon_pid);
        if (canary->pid > 0)
            return g_steal_pointer(&canary);
        munmap(canary->writers, (canary->n_writers + 1) * sizeof(Writer));
    }
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                "cannot start the canary writers: %s", g_strerror(errno));
    return NULL;
}

static gboolean reap(int pidfd, GIOCondition condition, void *data)
{
    waitpid(GPOINTER_TO_INT(data), NULL, 0);
    close(pidfd);
    return G_SOURCE_REMOVE;
}

/* The process ends only when its last writer's sleep on a filesystem does. */
static void reap_later(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (pidfd >= 0)
        g_unix_fd_add(pidfd, G_IO_IN, reap, GINT_TO_POINTER(pid));
}

void canary_halt(Canary *canary)
{
    if (canary->pid == 0)
        return;
    kill(canary->pid, SIGKILL);
    reap_later(canary->pid);
    canary->pid = 0;
}

void canary_stop(Canary *canary)
{
    if (!canary)
        return;
    canary_halt(canary);
    munmap(canary->writers, (canary->n_writers + 1) * sizeof(Writer));
    g_free(canary);
}

/* The remembered writes of a writer, oldest first, are the numbers first to last - 1. */
static void remembered(const Writer *writer, uint64_t *first, uint64_t *last)
{
    *last = atomic_load(&writer->writes);
    *first = *last > STAMPS ? *last - STAMPS : 0;
}

static bool writer_has_written(const Writer *writer, unsigned writes, int64_t since)
{
    uint64_t first, last;

    if (atomic_load(&writer->error_number) != 0)
        return true;
    remembered(writer, &first, &last);
    for (uint64_t n = last; n-- > first && writes > 0; writes--)
        if (writer->stamps[n % STAMPS].ended_at < since)
            return false;
    return writes == 0;
}

bool canary_has_written(const Canary *canary, unsigned writes, int64_t since)
{
    for (unsigned i = 0; i < canary->n_writers; i++)
        if (!writer_has_written(&canary->writers[i], writes, since))
            return false;
    return true;
}

void canary_report(const Canary *canary, unsigned target, int64_t frozen_at, int64_t thaw_began_at,
                   CanaryReport *report)
{
    const Writer *writer = &canary->writers[target];
    int error_number = atomic_load(&writer->error_number);
    uint64_t first, last;

    *report = (CanaryReport){
        .longest_gap_us = writer->longest_gap_us,
        .gap_start_at = writer->gap_start_at,
        .gap_end_at = writer->gap_end_at,
    };
    if (error_number != 0)
        report->error =
            g_strdup_printf("cannot write to %s: %s", writer->path, g_strerror(error_number));
    remembered(writer, &first, &last);
    if (last > 0)
        report->last_write_at = writer->stamps[(last - 1) % STAMPS].ended_at;
    report->writes_before = first;
    for (uint64_t n = first; n < last; n++) {
        Stamp stamp = writer->stamps[n % STAMPS];
        /* A stamp may be taken late: only a write wholly inside the hold contradicts the freeze. */
        if (thaw_began_at != 0 && stamp.ended_at >= thaw_began_at)
            report->writes_after++;
        else if (frozen_at != 0 && stamp.began_at >= frozen_at)
            report->writes_during++;
        else
            report->writes_before++;
    }
}
