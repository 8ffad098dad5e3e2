/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freezer-process.h"

#include "agent/descriptors.h"
#include "agent/freeze-board.h"
#include "agent/freeze-crew.h"
#include "agent/freezer-message.h"
#include "agent/state-file.h"
#include "platform/rcu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* How long a thaw, or opening what another process left frozen, is waited for before the window is
 * called thawed with stragglers. Their threads go on trying. */
#define THAW_WAIT_US (10 * G_USEC_PER_SEC)
/* When a freeze fails, the FIFREEZE calls under way elsewhere usually return within this time. */
#define LATE_FREEZE_WAIT_US (1 * G_USEC_PER_SEC)
#define NO_DEADLINE INT64_MAX

typedef struct {
    int socket_fd;
    int phase_fd;
    int worker_fd; /* eventfd: a worker has news */
    int timer_fd;
    int daemon_pidfd;
    int rcu_fd;
    int rcu_open_error; /* errno; valid when there is no rcu_fd */
    const char *state_path;
    bool daemon_gone;
    bool mark_when_settled; /* the state file names stragglers still */
    int predecessor_pidfd;  /* announced for the next window to adopt; else -1 */

    /* The window under way. */
    FreezeBoard *board;
    FreezeCrew *crew;
    bool end_wanted; /* the daemon ordered a thaw, or is gone */
} Process;

/* ---- windows, which outlive their end when one of their threads sleeps in the kernel ---- */

typedef struct {
    FreezeBoard *board;
    int predecessor_pidfd;
    int worker_fd;
} WindowRemains;

static _Atomic unsigned windows_alive;

static void window_is_gone(void *data)
{
    WindowRemains *remains = data;

    if (remains->predecessor_pidfd >= 0)
        close(remains->predecessor_pidfd);
    freeze_board_unmap(remains->board);
    atomic_fetch_sub(&windows_alive, 1);
    eventfd_write(remains->worker_fd, 1);
    g_free(remains);
}

static void set_phase(Process *process, FreezePhase phase)
{
    atomic_store(&process->board->phase, phase);
    eventfd_write(process->phase_fd, 1);
}

static bool window_begin(Process *process, int board_fd, int predecessor_pidfd)
{
    process->board = freeze_board_map(board_fd, NULL);
    if (!process->board)
        return false;
    WindowRemains *remains = g_new0(WindowRemains, 1);
    remains->board = process->board;
    remains->worker_fd = process->worker_fd;
    remains->predecessor_pidfd = predecessor_pidfd;
    atomic_fetch_add(&windows_alive, 1);
    process->end_wanted = process->daemon_gone;
    process->crew = freeze_crew_new(process->board, process->worker_fd, predecessor_pidfd,
                                    window_is_gone, remains, NULL);
    return process->crew != NULL;
}

static void window_end(Process *process)
{
    process->board->thawed_at = freeze_clock_now();
    set_phase(process, FREEZE_PHASE_THAWED);
    freeze_crew_dismiss(g_steal_pointer(&process->crew));
    process->board = NULL;
}

/* ---- waiting ---- */

static void daemon_is_gone(Process *process)
{
    process->daemon_gone = true;
    process->end_wanted = true;
}

static int steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

static void drain(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0)
        return; /* nothing there: as good as drained */
}

static void arm_timer(Process *process, int64_t deadline)
{
    struct itimerspec when = {0};

    if (deadline != NO_DEADLINE) {
        when.it_value.tv_sec = deadline / G_USEC_PER_SEC;
        when.it_value.tv_nsec = deadline % G_USEC_PER_SEC * 1000 + 1;
    }
    timerfd_settime(process->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* A descriptor of the process that was before this one; its window is being adopted. */
static void adopt_descriptor(Process *process, unsigned slot, int fd)
{
    if (process->crew && slot < process->board->n_slots)
        freeze_crew_adopt(process->crew, slot, fd);
    else
        close(fd);
}

/* Messages that come inside a window. */
static void read_window_message(Process *process)
{
    FreezerMessage message;
    int fd;

    if (!freezer_message_receive(process->socket_fd, &message, &fd)) {
        if (errno != EAGAIN && errno != EINTR)
            daemon_is_gone(process);
        return;
    }
    if (message.type == FREEZER_THAW)
        process->end_wanted = true;
    if (fd >= 0)
        adopt_descriptor(process, message.slot, fd);
}

/* Waits for news from the daemon or a worker; false when the deadline passed. */
static bool wait_for_news(Process *process, int64_t deadline)
{
    struct pollfd fds[] = {
        {.fd = process->worker_fd, .events = POLLIN},
        {.fd = process->timer_fd, .events = POLLIN},
        {.fd = process->daemon_gone ? -1 : process->socket_fd, .events = POLLIN},
        {.fd = process->daemon_gone ? -1 : process->daemon_pidfd, .events = POLLIN},
    };

    if (freeze_clock_now() >= deadline)
        return false;
    arm_timer(process, deadline);
    if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
        return true;
    if (fds[0].revents)
        drain(process->worker_fd);
    if (fds[2].revents)
        read_window_message(process);
    if (fds[3].revents)
        daemon_is_gone(process);
    return true;
}

static int64_t deadline_after(int64_t start, int64_t timeout_us)
{
    return timeout_us == 0 ? NO_DEADLINE : start + timeout_us;
}

typedef enum { ORDER_DONE, ORDER_LATE, ORDER_FAILED, ORDER_ENDED } OrderResult;

static OrderResult carry_out_order(Process *process, FreezeOrder order, unsigned wave,
                                   int64_t deadline)
{
    if (process->end_wanted)
        return ORDER_ENDED;
    freeze_crew_order(process->crew, order, wave);
    while (!freeze_crew_has_done(process->crew, order, wave)) {
        if (freeze_crew_first_failed(process->crew) >= 0)
            return ORDER_FAILED;
        if (process->end_wanted)
            return ORDER_ENDED;
        if (!wait_for_news(process, deadline))
            return ORDER_LATE;
    }
    return freeze_crew_first_failed(process->crew) < 0 ? ORDER_DONE : ORDER_FAILED;
}

/* ---- the steps, each true when the next may follow ---- */

static void blame_late_slot(Process *process, FreezeOrder order, const char *call)
{
    int late = freeze_crew_first_late(process->crew, order, FREEZE_CREW_ALL_WAVES);
    if (late < 0)
        return;
    FreezeSlot *slot = &process->board->slots[late];
    g_strlcpy(slot->failed_call, call, sizeof slot->failed_call);
    atomic_store(&slot->error_number, ETIMEDOUT);
}

/* The daemon needs descriptors of its own, to thaw should this process die. Where one does not
 * arrive, the successor opens the filesystem anew. */
static void send_descriptors(Process *process)
{
    for (unsigned i = 0; i < process->board->n_slots; i++) {
        FreezerMessage message = {FREEZER_DESCRIPTOR, i};
        int fd = freeze_crew_fd(process->crew, i);
        if (fd >= 0)
            freezer_message_send(process->socket_fd, &message, fd);
    }
}

static bool open_filesystems(Process *process)
{
    int64_t deadline =
        deadline_after(process->board->presync_at, process->board->options.presync_timeout_us);
    OrderResult result =
        carry_out_order(process, FREEZE_ORDER_OPEN, FREEZE_CREW_ALL_WAVES, deadline);

    if (result == ORDER_LATE)
        blame_late_slot(process, FREEZE_ORDER_OPEN, "open");
    if (result != ORDER_DONE)
        return false;
    send_descriptors(process);
    return true;
}

static bool presync(Process *process)
{
    int64_t deadline =
        deadline_after(process->board->presync_at, process->board->options.presync_timeout_us);
    OrderResult result =
        carry_out_order(process, FREEZE_ORDER_PRESYNC, FREEZE_CREW_ALL_WAVES, deadline);

    /* A pre-sync that is late costs the freeze nothing but speed. */
    process->board->presync_timed_out = result == ORDER_LATE;
    return result == ORDER_DONE || result == ORDER_LATE;
}

static void restore_rcu(Process *process)
{
    /* Forgotten only once it is done: the successor of a process that dies in between does it. */
    rcu_switch_restore(process->rcu_fd, atomic_load(&process->board->rcu_restore));
    atomic_store(&process->board->rcu_restore, -1);
}

static void expedite_rcu(Process *process)
{
    FreezeBoard *board = process->board;

    if (!board->options.expedite_rcu)
        return;
    board->rcu_error = process->rcu_fd >= 0
                           ? rcu_switch_expedite(process->rcu_fd, &board->rcu_restore)
                           : process->rcu_open_error;
}

static bool freeze_waves(Process *process)
{
    FreezeBoard *board = process->board;
    OrderResult result = ORDER_DONE;

    board->freezing_at = freeze_clock_now();
    atomic_store(&board->phase, FREEZE_PHASE_FREEZING);
    int64_t deadline = deadline_after(board->freezing_at, board->options.freeze_timeout_us);
    expedite_rcu(process);
    for (unsigned wave = 0; wave < board->waves && result == ORDER_DONE; wave++)
        result = carry_out_order(process, FREEZE_ORDER_FREEZE, wave, deadline);
    restore_rcu(process);
    if (result == ORDER_LATE)
        blame_late_slot(process, FREEZE_ORDER_FREEZE, "FIFREEZE");
    return result == ORDER_DONE;
}

static void hold(Process *process)
{
    FreezeBoard *board = process->board;

    board->frozen_at = freeze_clock_now();
    set_phase(process, FREEZE_PHASE_FROZEN);
    int64_t deadline = deadline_after(board->frozen_at, board->options.hold_timeout_us);
    while (!process->end_wanted)
        if (!wait_for_news(process, deadline)) {
            atomic_store(&board->end, FREEZE_END_HOLD_TIMEOUT);
            return;
        }
    atomic_store(&board->end, process->daemon_gone ? FREEZE_END_DAEMON_DIED : FREEZE_END_REQUESTED);
}

static bool any_needs_thaw(const FreezeBoard *board, unsigned wave, bool still_freezing_too)
{
    for (unsigned i = 0; i < board->n_slots; i++) {
        FreezeOutcome outcome = atomic_load(&board->slots[i].outcome);
        if ((wave == FREEZE_CREW_ALL_WAVES || board->slots[i].wave == wave) &&
            (outcome != FREEZE_FREEZING || still_freezing_too) &&
            freeze_outcome_needs_thaw(outcome))
            return true;
    }
    return false;
}

static void thaw_waves(Process *process)
{
    FreezeBoard *board = process->board;

    board->thawing_at = freeze_clock_now();
    atomic_store(&board->phase, FREEZE_PHASE_THAWING);
    for (unsigned wave = board->waves; wave-- > 0;) {
        freeze_crew_order(process->crew, FREEZE_ORDER_THAW, wave);
        /* One whose FIFREEZE has not returned holds up nobody: its worker thaws it when it has. */
        while (any_needs_thaw(board, wave, false) &&
               wait_for_news(process, board->thawing_at + THAW_WAIT_US))
            ;
    }
    int64_t deadline = freeze_clock_now() + LATE_FREEZE_WAIT_US;
    while (any_needs_thaw(board, FREEZE_CREW_ALL_WAVES, true) && wait_for_news(process, deadline))
        ;
}

/* The board is mapped anew: the window's own mapping goes with the last of its threads. */
static void report_no_threads(Process *process, int board_fd)
{
    g_autoptr(FreezeBoard) board = freeze_board_map(board_fd, NULL);

    process->board = NULL;
    if (!board)
        return; /* no memory at all: the daemon's watchdog finds out */
    for (unsigned i = 0; i < board->n_slots; i++) {
        g_strlcpy(board->slots[i].failed_call, "thread", sizeof board->slots[i].failed_call);
        atomic_store(&board->slots[i].error_number, EAGAIN);
        atomic_store(&board->slots[i].outcome, FREEZE_FAILED);
    }
    board->thawing_at = board->thawed_at = freeze_clock_now();
    atomic_store(&board->end, FREEZE_END_FAILED);
    atomic_store(&board->phase, FREEZE_PHASE_THAWED);
    eventfd_write(process->phase_fd, 1);
}

/* The log belongs to the daemon that died; the kernel's takes a line without waiting. */
static void report_orphaned_window(Process *process)
{
    static const char line[] = "<4>quiesced: the agent died while filesystems were frozen; its "
                               "freezer process has thawed them\n";
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (write(fd, line, sizeof line - 1) < 0)
            errno = 0; /* the state file below says it all the same */
        close(fd);
    }
    /* Until everything is thawed the file must go on naming it. */
    if (any_needs_thaw(process->board, FREEZE_CREW_ALL_WAVES, true))
        process->mark_when_settled = true;
    else
        state_file_mark_thawed(process->state_path, "its freezer process", getpid(), NULL);
}

static void carry_out_window(Process *process, int board_fd)
{
    if (!window_begin(process, board_fd, -1)) {
        report_no_threads(process, board_fd);
        return;
    }
    FreezeBoard *board = process->board;
    board->presync_at = freeze_clock_now();
    atomic_store(&board->phase, FREEZE_PHASE_PRESYNC);
    atomic_store(&board->end, FREEZE_END_FAILED);
    if (open_filesystems(process) && presync(process) && freeze_waves(process))
        hold(process);
    else if (process->end_wanted)
        atomic_store(&board->end,
                     process->daemon_gone ? FREEZE_END_DAEMON_DIED : FREEZE_END_REQUESTED);
    thaw_waves(process);
    if (process->daemon_gone)
        report_orphaned_window(process);
    window_end(process);
}

/* Thaws a window that another freezer process, dead or dying, has frozen. */
static void adopt_window(Process *process, int board_fd)
{
    if (!window_begin(process, board_fd, steal_fd(&process->predecessor_pidfd)))
        _exit(FREEZER_EXIT_NO_THREADS);
    restore_rcu(process);
    while (!process->end_wanted && wait_for_news(process, NO_DEADLINE))
        ;
    thaw_waves(process);
    window_end(process);
}

/* ---- the process ---- */

/* Returns 0, or the errno of a memory that cannot be locked. */
static int survive_what_kills_others(void)
{
    int fd, lock_error;

    /* The service manager signals the whole control group; the daemon ends in order and tells us.
     */
    for (unsigned i = 0; i < 6; i++)
        signal((const int[]){SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2}[i], SIG_IGN);
    /* With the writer of the memory dead or its control group at the limit, the thaw still runs. */
    lock_error = mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0 ? 0 : errno;
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "-1000", 5) < 0)
            errno = 0; /* no CAP_SYS_RESOURCE: the default score it is */
        close(fd);
    }
    return lock_error;
}

static void serve_one_message(Process *process)
{
    FreezerMessage message;
    int fd;

    if (!freezer_message_receive(process->socket_fd, &message, &fd)) {
        if (errno != EAGAIN && errno != EINTR)
            daemon_is_gone(process);
        return;
    }
    if (message.type == FREEZER_FREEZE && fd >= 0)
        carry_out_window(process, fd);
    else if (message.type == FREEZER_ADOPT && fd >= 0)
        adopt_window(process, fd);
    else if (message.type == FREEZER_DESCRIPTOR && message.slot == FREEZER_PREDECESSOR)
        process->predecessor_pidfd = steal_fd(&fd);
    if (fd >= 0)
        close(fd);
}

static void serve(Process *process)
{
    struct pollfd fds[] = {
        {.fd = process->socket_fd, .events = POLLIN},
        {.fd = process->daemon_pidfd, .events = POLLIN},
    };

    while (!process->daemon_gone) {
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0)
            continue;
        if (fds[0].revents)
            serve_one_message(process);
        else if (fds[1].revents)
            daemon_is_gone(process);
    }
    /* A thread that sleeps in FIFREEZE must be there to thaw when it returns. */
    while (atomic_load(&windows_alive) > 0)
        wait_for_news(process, NO_DEADLINE);
    if (process->mark_when_settled)
        state_file_mark_thawed(process->state_path, "its freezer process", getpid(), NULL);
}

void freezer_process_run(int socket_fd, int phase_fd, pid_t daemon_pid, const char *state_path)
{
    Process process = {
        .socket_fd = socket_fd,
        .phase_fd = phase_fd,
        .state_path = state_path,
        .predecessor_pidfd = -1,
    };

    descriptors_close_others(socket_fd, phase_fd);
    prctl(PR_SET_NAME, "quiesced-freeze");
    int lock_error = survive_what_kills_others();
    if (lock_error != 0)
        freezer_message_send(socket_fd,
                             &(FreezerMessage){FREEZER_UNLOCKED, .error_number = lock_error}, -1);
    process.worker_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    process.timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    process.daemon_pidfd = (int)syscall(SYS_pidfd_open, daemon_pid, 0);
    process.rcu_fd = rcu_switch_open();
    process.rcu_open_error = errno;
    serve(&process);
    _exit(0);
}
