/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/qemu-nbd.h"
#include "prober/disk/private-socket.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTEN_FD 3 /* SD_LISTEN_FDS_START */
#define WORDS_MAX_BYTES 2048u
#define GRACE_MS 1000
#define REAP_TRIES 200
#define REAP_INTERVAL_US 5000

struct QemuNbd {
    pid_t pid;
    int words_fd; /* its standard error; hangs up when the child ends */
    NbdConnection *connection;
};

/* What the child needs after fork(), made before it: only async-signal-safe calls follow. */
typedef struct {
    char *program;
    char **argv;
    char **environment; /* the last one, listen_pid, is written by the child */
    char listen_pid[32];
    int listener;
    int words_fd;
    pid_t parent;
} Launch;

static char **clean_environment(char *listen_pid)
{
    /* Where Ceph finds its cluster, and modules and keys of a home directory. */
    static const char *const kept[] = {"HOME", "CEPH_CONF", "CEPH_ARGS", "CEPH_KEYRING", "TMPDIR"};
    GPtrArray *environment = g_ptr_array_new();

    g_ptr_array_add(environment, g_strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"));
    g_ptr_array_add(environment, g_strdup("LC_ALL=C"));
    for (unsigned i = 0; i < G_N_ELEMENTS(kept); i++) {
        const char *value = g_getenv(kept[i]);
        if (value)
            g_ptr_array_add(environment, g_strconcat(kept[i], "=", value, NULL));
    }
    g_ptr_array_add(environment, g_strdup("LISTEN_FDS=1"));
    g_ptr_array_add(environment, listen_pid);
    g_ptr_array_add(environment, NULL);
    return (char **)g_ptr_array_free(environment, FALSE);
}

static void launch_clear(Launch *launch)
{
    if (launch->environment) {
        launch->environment[g_strv_length(launch->environment) - 1] = NULL;
        g_strfreev(launch->environment);
    }
    g_strfreev(launch->argv);
    g_free(launch->program);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Launch, launch_clear)

static bool prepare(Launch *launch, const char *const *options, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);

    launch->program = g_find_program_in_path("qemu-nbd");
    if (!launch->program && access("/usr/bin/qemu-nbd", X_OK) == 0)
        launch->program = g_strdup("/usr/bin/qemu-nbd");
    if (!launch->program) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                    "qemu-nbd, which reads this kind of image, is not installed: install the "
                    "package qemu-utils (qemu-img on Fedora)");
        return false;
    }
    g_ptr_array_add(argv, g_strdup("qemu-nbd"));
    g_ptr_array_add(argv, g_strdup("--read-only"));
    for (; *options; options++)
        g_ptr_array_add(argv, g_strdup(*options));
    g_ptr_array_add(argv, NULL);
    launch->argv = (char **)g_ptr_array_steal(argv, NULL);
    launch->environment = clean_environment(launch->listen_pid);
    launch->parent = getpid();
    return true;
}

/* snprintf() may allocate, which a child of a program with threads must not. */
static void write_listen_pid(char *text, pid_t pid)
{
    char digits[16];
    unsigned count = 0;

    for (; pid > 0; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    text = stpcpy(text, "LISTEN_PID=");
    while (count > 0)
        *text++ = digits[--count];
    *text = '\0';
}

static G_NORETURN void become_qemu_nbd(Launch *launch)
{
    sigset_t none;

    /* Ctrl-C is for us to handle, and signals that we block or ignore are not its own. */
    setpgid(0, 0);
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launch->parent)
        _exit(127);

    /* Both lie above 3: neither is overwritten by the other's place. */
    int listener = fcntl(launch->listener, F_DUPFD, 10);
    int words = fcntl(launch->words_fd, F_DUPFD, 10);
    int null = open("/dev/null", O_RDWR);
    if (listener < 0 || words < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(words, 2) < 0 || dup2(listener, LISTEN_FD) < 0)
        _exit(127);
    close_range(LISTEN_FD + 1, ~0U, 0);
    write_listen_pid(launch->listen_pid, getpid());
    execve(launch->program, launch->argv, launch->environment);
    static const char words_of_failure[] = "qemu-nbd cannot be executed (package qemu-utils)\n";
    _exit(write(2, words_of_failure, sizeof words_of_failure - 1) > 0 ? 127 : 126);
}

static bool start(QemuNbd *child, Launch *launch, GError **error)
{
    int words[2];

    if (pipe2(words, O_CLOEXEC) < 0) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot start qemu-nbd: %s",
                    g_strerror(errno));
        return false;
    }
    child->words_fd = words[0];
    launch->words_fd = words[1];
    child->pid = fork();
    if (child->pid == 0)
        become_qemu_nbd(launch);
    int cause = errno;
    close(words[1]);
    if (child->pid > 0)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot start qemu-nbd: %s",
                g_strerror(cause));
    return false;
}

/* What the child has said so far, in one line; NULL when that is nothing. */
static char *take_words(QemuNbd *child)
{
    char words[WORDS_MAX_BYTES];

    fcntl(child->words_fd, F_SETFL, O_NONBLOCK);
    ssize_t got = read(child->words_fd, words, sizeof words);
    if (got <= 0)
        return NULL;
    g_autofree char *text = g_utf8_make_valid(words, got);
    g_strdelimit(g_strchomp(text), "\n\r", ' ');
    return *text != '\0' ? g_steal_pointer(&text) : NULL;
}

static const char *remedy_for(const char *words)
{
    static const struct {
        const char *words;
        const char *remedy;
    } remedies[] = {
        {"Unknown protocol", " (install the package qemu-block-extra)"},
        {"Unknown driver", " (install the package qemu-block-extra, or check the format's name)"},
        {"key-secret", " (export it with the key yourself, qemu-nbd --object secret,..., and give "
                       "the address of that)"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(remedies); i++) {
        if (strstr(words, remedies[i].words))
            return remedies[i].remedy;
    }
    return "";
}

static void explain(QemuNbd *child, GError *nbd_error, GError **error)
{
    g_autofree char *words = take_words(child);

    if (!words) {
        g_propagate_error(error, nbd_error);
        return;
    }
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "%s%s", words, remedy_for(words));
    g_error_free(nbd_error);
}

QemuNbd *qemu_nbd_start(const char *const *options, int64_t timeout_ms, int interrupt_fd,
                        GError **error)
{
    g_auto(Launch) launch = {0};
    GError *problem = NULL;

    if (!prepare(&launch, options, error))
        return NULL;
    PrivateSocket *private = private_socket_new(error);
    if (!private)
        return NULL;
    int fd = private_socket_connect(private, error);
    launch.listener = private_socket_listener(private);

    g_autoptr(QemuNbd) child = g_new0(QemuNbd, 1);
    child->words_fd = -1;
    bool started = fd >= 0 && start(child, &launch, error);
    /* Nobody else's end may stay open: the connection breaks if the child ends. */
    private_socket_free(private);
    if (!started) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    child->connection = nbd_connection_open_socket(fd, "", timeout_ms, interrupt_fd, &problem);
    if (!child->connection) {
        explain(child, problem, error);
        return NULL;
    }
    return g_steal_pointer(&child);
}

/* Standard error hangs up when the child ends, or says something, which nobody reads. */
static bool wait_for_end(QemuNbd *child)
{
    int64_t end_us = g_get_monotonic_time() + GRACE_MS * 1000;
    struct pollfd fd = {.fd = child->words_fd, .events = POLLIN};

    while ((fd.revents & POLLHUP) == 0) {
        int64_t left_ms = (end_us - g_get_monotonic_time()) / 1000;
        if (left_ms <= 0)
            return false;
        if (poll(&fd, 1, (int)left_ms) > 0 && (fd.revents & POLLIN) != 0)
            g_free(take_words(child));
    }
    return true;
}

/* A child that sleeps in the kernel (a dead NFS server) cannot be reaped: it is left, killed. */
static void reap(pid_t pid)
{
    for (unsigned i = 0; i < REAP_TRIES; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        g_usleep(REAP_INTERVAL_US);
    }
}

void qemu_nbd_free(QemuNbd *child)
{
    bool served = child->connection != NULL;

    g_clear_pointer(&child->connection, nbd_connection_free);
    if (child->pid > 0) {
        if (!served || !wait_for_end(child))
            kill(child->pid, SIGKILL);
        reap(child->pid);
    }
    if (child->words_fd >= 0)
        close(child->words_fd);
    g_free(child);
}

NbdConnection *qemu_nbd_connection(QemuNbd *child)
{
    return child->connection;
}
