/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freezer.h"

#include "agent/freezer-message.h"
#include "agent/freezer-process.h"
#include "agent/log.h"
#include "platform/freeze-ioctl.h"
#include "platform/rcu.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How much longer than its own deadlines the freezer process may take before it counts as stuck. */
#define GRACE_MS 5000
#define THAW_GRACE_MS 15000
#define DEATH_POLL_MS 200
#define SOCKET_BUFFER_BYTES (4 * 1024 * 1024)

struct Freezer {
    char *state_path;
    FreezerNews news;
    void *user_data;

    pid_t pid;
    int pidfd;
    int socket_fd;
    int phase_fd;
    guint socket_source;
    guint phase_source;
    guint pidfd_source;
    guint watchdog_source;
    guint death_source;

    FreezeBoard *board;
    int board_fd;
    int *descriptors; /* the daemon's own, one per slot; -1 where it has none */
    bool window_open; /* news of FREEZE_PHASE_THAWED is still due */
    bool frozen_told;
    const char *thawed_by; /* word to leave in the state file instead of removing it; else NULL */
    GPtrArray *old_boards; /* of FreezeBoard: ended windows with stragglers */
};

static bool spawn(Freezer *freezer, GError **error);

/* ---- the window's bookkeeping ---- */

static bool has_straggler(const FreezeBoard *board)
{
    for (unsigned i = 0; i < board->n_slots; i++)
        if (freeze_slot_is_unsettled(&board->slots[i]))
            return true;
    return false;
}

static void close_descriptors(Freezer *freezer)
{
    if (!freezer->descriptors)
        return;
    for (unsigned i = 0; i < freezer->board->n_slots; i++)
        if (freezer->descriptors[i] >= 0)
            close(freezer->descriptors[i]);
    g_clear_pointer(&freezer->descriptors, g_free);
}

static void forget_board(Freezer *freezer)
{
    close_descriptors(freezer);
    if (freezer->board_fd >= 0)
        close(freezer->board_fd);
    freezer->board_fd = -1;
    if (freezer->board && has_straggler(freezer->board))
        g_ptr_array_add(freezer->old_boards, freezer->board);
    else
        freeze_board_unmap(freezer->board);
    freezer->board = NULL;
}

static bool install_board(Freezer *freezer, const FreezePlan *plan, const FreezeOptions *options,
                          GError **error)
{
    int board_fd;
    FreezeBoard *board = freeze_board_new(plan, options, &board_fd, error);

    if (!board)
        return false;
    forget_board(freezer);
    freezer->board = board;
    freezer->board_fd = board_fd;
    freezer->descriptors = g_new(int, board->n_slots + 1);
    memset(freezer->descriptors, 0xff, sizeof(int) * (board->n_slots + 1));
    freezer->frozen_told = false;
    return true;
}

static const FreezeSlot *find_straggler(const Freezer *freezer, const FreezePlan *plan)
{
    for (unsigned b = 0; b < freezer->old_boards->len; b++) {
        const FreezeBoard *board = g_ptr_array_index(freezer->old_boards, b);
        for (unsigned s = 0; s < board->n_slots; s++) {
            if (!freeze_slot_is_unsettled(&board->slots[s]))
                continue;
            for (unsigned t = 0; !plan || t < plan->targets->len; t++) {
                const FreezeTarget *target = plan ? g_ptr_array_index(plan->targets, t) : NULL;
                if (!target || target->device == board->slots[s].device)
                    return &board->slots[s];
            }
        }
    }
    return NULL;
}

static void drop_settled_boards(Freezer *freezer)
{
    for (unsigned b = freezer->old_boards->len; b-- > 0;)
        if (!has_straggler(g_ptr_array_index(freezer->old_boards, b)))
            g_ptr_array_remove_index_fast(freezer->old_boards, b);
}

bool freezer_has_straggler(const Freezer *freezer, char **description)
{
    const FreezeSlot *slot = find_straggler(freezer, NULL);

    if (!slot && !freezer->window_open && freezer->board)
        for (unsigned i = 0; i < freezer->board->n_slots && !slot; i++)
            if (freeze_slot_is_unsettled(&freezer->board->slots[i]))
                slot = &freezer->board->slots[i];
    if (slot && description)
        *description = freeze_slot_describe(slot);
    return slot != NULL;
}

static void settle_state_file(Freezer *freezer)
{
    if (freezer->thawed_by)
        state_file_mark_thawed(freezer->state_path, freezer->thawed_by);
    else
        state_file_remove(freezer->state_path);
}

void freezer_leave_word(Freezer *freezer, const char *thawed_by)
{
    freezer->thawed_by = thawed_by;
}

void freezer_forget_stragglers(Freezer *freezer)
{
    drop_settled_boards(freezer);
    if (!freezer->window_open && !freezer_has_straggler(freezer, NULL))
        settle_state_file(freezer);
}

/* ---- the watchdog: a freezer process that does not answer is replaced ---- */

static gboolean freezer_is_stuck(void *data)
{
    Freezer *freezer = data;

    freezer->watchdog_source = 0;
    log_error("freeze", "the freezer process (pid %d) does not answer: replacing it",
              (int)freezer->pid);
    kill(freezer->pid, SIGKILL); /* look_for_death() and its pidfd tell of its end */
    return G_SOURCE_REMOVE;
}

static void set_watchdog(Freezer *freezer, int64_t delay_ms)
{
    if (freezer->watchdog_source)
        g_source_remove(freezer->watchdog_source);
    freezer->watchdog_source =
        delay_ms < 0 ? 0 : g_timeout_add((guint)delay_ms, freezer_is_stuck, freezer);
}

/* -1, no watchdog, when one of the deadlines it stands behind is "no limit". */
static int64_t freeze_watchdog_ms(const FreezeOptions *options)
{
    if (options->presync_timeout_us == 0 || options->freeze_timeout_us == 0)
        return -1;
    /* Opening and pre-sync each have pre-sync-timeout at most. */
    return (options->presync_timeout_us + options->freeze_timeout_us) / 1000 + GRACE_MS;
}

/* ---- news from the freezer process ---- */

static void window_is_over(Freezer *freezer)
{
    freezer->window_open = false;
    set_watchdog(freezer, -1);
    if (!has_straggler(freezer->board))
        settle_state_file(freezer);
    close_descriptors(freezer);
    freezer->news(FREEZE_PHASE_THAWED, freezer->user_data);
}

static void look_at_phase(Freezer *freezer)
{
    if (!freezer->window_open)
        return;
    FreezePhase phase = (FreezePhase)atomic_load(&freezer->board->phase);
    if (freezer->board->frozen_at != 0 && !freezer->frozen_told) {
        int64_t hold_ms = freezer->board->options.hold_timeout_us / 1000;
        freezer->frozen_told = true;
        set_watchdog(freezer, hold_ms == 0 ? -1 : hold_ms + GRACE_MS);
        freezer->news(FREEZE_PHASE_FROZEN, freezer->user_data);
    }
    if (phase == FREEZE_PHASE_THAWED)
        window_is_over(freezer);
}

static gboolean phase_changed(int fd, GIOCondition condition, void *data)
{
    eventfd_t count;

    if (eventfd_read(fd, &count) == 0)
        look_at_phase(data);
    return G_SOURCE_CONTINUE;
}

static void take_descriptors(Freezer *freezer)
{
    FreezerMessage message;
    int fd;

    while (freezer_message_receive(freezer->socket_fd, &message, &fd)) {
        if (fd < 0)
            continue;
        if (freezer->descriptors && message.slot < freezer->board->n_slots &&
            freezer->descriptors[message.slot] < 0)
            freezer->descriptors[message.slot] = fd;
        else
            close(fd);
    }
}

static gboolean message_came(int fd, GIOCondition condition, void *data)
{
    Freezer *freezer = data;

    take_descriptors(freezer);
    if (condition & G_IO_HUP) {
        freezer->socket_source = 0; /* the pidfd tells the rest */
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* ---- the freezer process's end ---- */

static void detach(Freezer *freezer)
{
    guint *sources[] = {&freezer->socket_source, &freezer->phase_source, &freezer->pidfd_source};

    for (unsigned i = 0; i < G_N_ELEMENTS(sources); i++)
        if (*sources[i]) {
            g_source_remove(*sources[i]);
            *sources[i] = 0;
        }
    close(freezer->socket_fd);
    close(freezer->phase_fd);
}

/* Last resort when no process can be forked: the thaw may sleep, but nothing stays frozen. */
static void thaw_here(Freezer *freezer)
{
    for (unsigned i = freezer->board->n_slots; i-- > 0;) {
        FreezeSlot *slot = &freezer->board->slots[i];
        if (!freeze_outcome_needs_thaw(atomic_load(&slot->outcome)) || freezer->descriptors[i] < 0)
            continue;
        int error_number = freeze_ioctl_thaw(freezer->descriptors[i]);
        slot->thawed_at = freeze_clock_now();
        atomic_store(&slot->outcome,
                     error_number == EINVAL ? FREEZE_THAWED_BY_OTHERS : FREEZE_THAWED);
    }
    atomic_store(&freezer->board->phase, FREEZE_PHASE_THAWED);
}

static bool hand_over_window(Freezer *freezer, int predecessor_pidfd)
{
    if (predecessor_pidfd >= 0)
        freezer_message_send(freezer->socket_fd,
                             &(FreezerMessage){FREEZER_DESCRIPTOR, FREEZER_PREDECESSOR},
                             predecessor_pidfd);
    bool sent = freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_ADOPT, 0},
                                     freezer->board_fd);
    for (unsigned i = 0; sent && i < freezer->board->n_slots; i++)
        if (freezer->descriptors[i] >= 0)
            sent =
                freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_DESCRIPTOR, i},
                                     freezer->descriptors[i]);
    set_watchdog(freezer, THAW_GRACE_MS);
    return sent && freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_THAW, 0}, -1);
}

static void replace(Freezer *freezer, int predecessor_pidfd)
{
    g_autoptr(GError) error = NULL;
    bool spawned = spawn(freezer, &error);

    if (!spawned)
        log_error("freeze", "%s", error->message);
    if (!freezer->window_open)
        return;
    if (atomic_load(&freezer->board->end) != FREEZE_END_RECOVERED)
        atomic_store(&freezer->board->end, FREEZE_END_FREEZER_DIED);
    if (!spawned || !hand_over_window(freezer, predecessor_pidfd)) {
        thaw_here(freezer);
        look_at_phase(freezer);
    }
}

static gboolean reap(int pidfd, GIOCondition condition, void *data)
{
    waitpid(GPOINTER_TO_INT(data), NULL, WNOHANG);
    close(pidfd);
    return G_SOURCE_REMOVE;
}

static void take_over(Freezer *freezer)
{
    int pidfd = freezer->pidfd;
    pid_t pid = freezer->pid;
    int status = 0;

    take_descriptors(freezer);
    look_at_phase(freezer);
    bool is_gone = waitpid(pid, &status, WNOHANG) == pid;
    g_autofree char *cause =
        is_gone ? g_strdup_printf("of %s %d", WIFSIGNALED(status) ? "signal" : "exit status",
                                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status))
                : g_strdup("while one of its calls sleeps in the kernel");
    log_error("freeze", "the freezer process (pid %d) died %s; starting a new one%s", (int)pid,
              cause, freezer->window_open ? ", which thaws what is frozen" : "");
    detach(freezer);
    replace(freezer, pidfd);
    if (is_gone)
        close(pidfd);
    else
        g_unix_fd_add(pidfd, G_IO_IN, reap, GINT_TO_POINTER(pid));
}

static gboolean freezer_died(int pidfd, GIOCondition condition, void *data)
{
    Freezer *freezer = data;

    freezer->pidfd_source = 0;
    take_over(freezer);
    return G_SOURCE_REMOVE;
}

/* proc(5): the state is the first field after the name, which ends at the last parenthesis. */
static bool is_zombie(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *stat = NULL;

    if (!g_file_get_contents(path, &stat, NULL, NULL))
        return false;
    const char *name_end = strrchr(stat, ')');
    return name_end && g_str_has_prefix(name_end, ") Z");
}

/* A killed process whose thread sleeps in FIFREEZE ends only when the call returns: neither its
 * pidfd nor its end of the socket tells before, while other filesystems are frozen. */
static gboolean look_for_death(void *data)
{
    Freezer *freezer = data;

    if (!freezer->window_open) {
        freezer->death_source = 0;
        return G_SOURCE_REMOVE;
    }
    if (freezer->pid > 0 && is_zombie(freezer->pid))
        take_over(freezer);
    return G_SOURCE_CONTINUE;
}

static void open_window(Freezer *freezer)
{
    freezer->window_open = true;
    if (!freezer->death_source)
        freezer->death_source = g_timeout_add(DEATH_POLL_MS, look_for_death, freezer);
}

/* ---- starting it ---- */

static bool make_channels(int sockets[2], int *phase_fd, GError **error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0) {
        *phase_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (*phase_fd >= 0)
            return true;
        close(sockets[0]);
        close(sockets[1]);
    }
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                "cannot talk to a freezer process: %s", g_strerror(errno));
    return false;
}

static void watch(Freezer *freezer)
{
    freezer->socket_source =
        g_unix_fd_add(freezer->socket_fd, G_IO_IN | G_IO_HUP, message_came, freezer);
    freezer->phase_source = g_unix_fd_add(freezer->phase_fd, G_IO_IN, phase_changed, freezer);
    freezer->pidfd_source = g_unix_fd_add(freezer->pidfd, G_IO_IN, freezer_died, freezer);
}

static bool spawn(Freezer *freezer, GError **error)
{
    int sockets[2];
    int phase_fd;
    pid_t daemon_pid = getpid();

    freezer->pid = -1;
    if (!make_channels(sockets, &phase_fd, error))
        return false;
    /* Room for a descriptor per filesystem without either side waiting for the other. */
    for (unsigned i = 0; i < 2; i++)
        setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUFFORCE, &(int){SOCKET_BUFFER_BYTES},
                   sizeof(int));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        freezer_process_run(sockets[1], phase_fd, daemon_pid, freezer->state_path);
    close(sockets[1]);
    if (pid < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot fork the freezer process: %s", g_strerror(errno));
        close(sockets[0]);
        close(phase_fd);
        return false;
    }
    freezer->pid = pid;
    freezer->socket_fd = sockets[0];
    freezer->phase_fd = phase_fd;
    freezer->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    watch(freezer);
    return true;
}

Freezer *freezer_new(const char *state_path, FreezerNews news, void *user_data, GError **error)
{
    Freezer *freezer = g_new0(Freezer, 1);

    freezer->state_path = g_strdup(state_path);
    freezer->news = news;
    freezer->user_data = user_data;
    freezer->board_fd = -1;
    freezer->old_boards = g_ptr_array_new_with_free_func((GDestroyNotify)freeze_board_unmap);
    if (spawn(freezer, error))
        return freezer;
    g_ptr_array_unref(freezer->old_boards);
    g_free(freezer->state_path);
    g_free(freezer);
    return NULL;
}

void freezer_free(Freezer *freezer)
{
    if (!freezer)
        return;
    set_watchdog(freezer, -1);
    g_clear_handle_id(&freezer->death_source, g_source_remove);
    if (freezer->pid > 0) {
        detach(freezer); /* a closed socket is the order to thaw and end */
        /* It stays behind when a call still sleeps in the kernel, and thaws when that returns. */
        poll(&(struct pollfd){.fd = freezer->pidfd, .events = POLLIN}, 1, THAW_GRACE_MS);
        close(freezer->pidfd);
        waitpid(freezer->pid, NULL, WNOHANG);
    }
    forget_board(freezer);
    g_ptr_array_unref(freezer->old_boards);
    g_free(freezer->state_path);
    g_free(freezer);
}

/* ---- orders ---- */

static bool check_ready(Freezer *freezer, const FreezePlan *plan, GError **error)
{
    drop_settled_boards(freezer);
    if (freezer->board && !freezer->window_open && has_straggler(freezer->board))
        forget_board(freezer);
    const FreezeSlot *straggler = find_straggler(freezer, plan);
    if (straggler) {
        g_autofree char *name = freeze_slot_describe(straggler);
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                    "cannot freeze %s: a call of an earlier freeze of it still sleeps in the "
                    "kernel; it is thawed as soon as that returns",
                    name);
        return false;
    }
    return freezer->pid > 0 || spawn(freezer, error);
}

bool freezer_freeze(Freezer *freezer, const char *command, const FreezePlan *plan,
                    const FreezeOptions *options, GError **error)
{
    g_autoptr(GError) state_error = NULL;

    g_return_val_if_fail(!freezer->window_open, false);
    if (!check_ready(freezer, plan, error) || !install_board(freezer, plan, options, error))
        return false;
    if (!state_file_write(freezer->state_path, command, plan, freezer->pid, &state_error))
        log_warning("freeze",
                    "%s: should the agent and its freezer process die together, the next start "
                    "will not know what to thaw",
                    state_error->message);
    if (!freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_FREEZE, 0},
                              freezer->board_fd)) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot reach the freezer process: %s", g_strerror(errno));
        state_file_remove(freezer->state_path);
        return false;
    }
    open_window(freezer);
    set_watchdog(freezer, freeze_watchdog_ms(options));
    return true;
}

void freezer_thaw(Freezer *freezer)
{
    if (!freezer->window_open)
        return;
    set_watchdog(freezer, THAW_GRACE_MS);
    /* When it does not get through, the process is dying or stuck: both have their own remedy. */
    freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_THAW, 0}, -1);
}

static int open_predecessor(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/comm", (int)pid);
    g_autofree char *comm = NULL;

    if (pid <= 0 || !g_file_get_contents(path, &comm, NULL, NULL) ||
        !g_str_has_prefix(comm, "quiesced-freeze"))
        return -1;
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void restore_rcu(int value)
{
    int fd = value == 0 ? rcu_switch_open() : -1;

    if (fd < 0)
        return;
    rcu_switch_restore(fd, value);
    close(fd);
}

bool freezer_recover(Freezer *freezer, const StateFile *left, GError **error)
{
    static const FreezeOptions no_limits = {0};

    g_return_val_if_fail(!freezer->window_open, false);
    if (!install_board(freezer, left->plan, &no_limits, error))
        return false;
    for (unsigned i = 0; i < freezer->board->n_slots; i++)
        atomic_store(&freezer->board->slots[i].outcome, FREEZE_THAWING);
    atomic_store(&freezer->board->end, FREEZE_END_RECOVERED);
    restore_rcu(left->rcu_restore);
    int predecessor_pidfd = open_predecessor(left->freezer_pid);
    open_window(freezer);
    if (!hand_over_window(freezer, predecessor_pidfd))
        thaw_here(freezer);
    if (predecessor_pidfd >= 0)
        close(predecessor_pidfd);
    return true;
}

const FreezeBoard *freezer_board(const Freezer *freezer)
{
    return freezer->board;
}
