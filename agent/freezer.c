/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freezer.h"

#include "agent/freezer-message.h"
#include "agent/freezer-process.h"
#include "agent/freezer-window.h"
#include "agent/log.h"
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

/* How long the freezer process may take for a thaw, which it gives up waiting for after 11 s,
 * before it counts as stuck. */
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

    FreezerWindow *window; /* under way, or the last; NULL before the first */
    bool window_open;      /* news of FREEZE_PHASE_THAWED is still due */
    bool frozen_told;
    const char *thawed_by;  /* word to leave in the state file instead of removing it; else NULL */
    GPtrArray *old_windows; /* of FreezerWindow: earlier ones with stragglers */
};

static bool spawn(Freezer *freezer, GError **error);

/* ---- the window's bookkeeping ---- */

static void forget_window(Freezer *freezer)
{
    FreezerWindow *window = g_steal_pointer(&freezer->window);

    if (window && freezer_window_find_unsettled(window, NULL))
        g_ptr_array_add(freezer->old_windows, window);
    else
        freezer_window_free(window);
}

static bool install_window(Freezer *freezer, const FreezePlan *plan, const FreezeOptions *options,
                           GError **error)
{
    FreezerWindow *window = freezer_window_new(plan, options, error);

    if (!window)
        return false;
    forget_window(freezer);
    freezer->window = window;
    freezer->frozen_told = false;
    return true;
}

static const FreezeSlot *find_straggler(const Freezer *freezer, const FreezePlan *plan)
{
    const FreezeSlot *slot = NULL;

    if (freezer->window && !freezer->window_open)
        slot = freezer_window_find_unsettled(freezer->window, plan);
    for (unsigned i = 0; !slot && i < freezer->old_windows->len; i++)
        slot = freezer_window_find_unsettled(g_ptr_array_index(freezer->old_windows, i), plan);
    return slot;
}

/* Those of the windows before the one under way. */
static FreezePlan *list_stragglers(const Freezer *freezer)
{
    FreezePlan *plan = freeze_plan_new();

    for (unsigned i = 0; i < freezer->old_windows->len; i++)
        freezer_window_add_unsettled(g_ptr_array_index(freezer->old_windows, i), plan);
    return plan;
}

static void drop_settled_windows(Freezer *freezer)
{
    for (unsigned i = freezer->old_windows->len; i-- > 0;)
        if (!freezer_window_find_unsettled(g_ptr_array_index(freezer->old_windows, i), NULL))
            g_ptr_array_remove_index_fast(freezer->old_windows, i);
}

bool freezer_has_straggler(const Freezer *freezer, char **description)
{
    const FreezeSlot *slot = find_straggler(freezer, NULL);

    if (slot && description)
        *description = freeze_slot_describe(slot);
    return slot != NULL;
}

static void settle_state_file(Freezer *freezer)
{
    g_autoptr(GError) error = NULL;

    if (!freezer->thawed_by)
        state_file_remove(freezer->state_path);
    else if (!state_file_mark_thawed(freezer->state_path, freezer->thawed_by, 0, &error))
        log_warning("freeze", "%s: the next start will thaw once more what is thawed",
                    error->message);
}

/* Recovery must not thaw what is somebody else's. */
static void disown_busy(const Freezer *freezer)
{
    const FreezeBoard *board = freezer->window->board;
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < board->n_slots && !error; i++)
        if (atomic_load(&board->slots[i].outcome) == FREEZE_BUSY &&
            state_file_never_freezes(freezer->state_path))
            state_file_leave_out(freezer->state_path, board->slots[i].device, &error);
    if (error)
        log_warning("freeze",
                    "%s: should the agent and its freezer process die together, the next start "
                    "thaws what somebody else has frozen, too",
                    error->message);
}

void freezer_leave_word(Freezer *freezer, const char *thawed_by)
{
    freezer->thawed_by = thawed_by;
}

void freezer_forget_stragglers(Freezer *freezer)
{
    drop_settled_windows(freezer);
    if (freezer->window)
        freezer_window_close_settled(freezer->window);
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
    if (freezer->pid > 0)
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
    return (options->presync_timeout_us + options->freeze_timeout_us) / 1000 + THAW_GRACE_MS;
}

/* ---- news from the freezer process ---- */

static void window_is_over(Freezer *freezer)
{
    freezer->window_open = false;
    set_watchdog(freezer, -1);
    freezer_window_close_settled(freezer->window);
    if (!freezer_has_straggler(freezer, NULL))
        settle_state_file(freezer);
    freezer->news(FREEZE_PHASE_THAWED, freezer->user_data);
}

static void look_at_phase(Freezer *freezer)
{
    if (!freezer->window_open)
        return;
    FreezePhase phase = (FreezePhase)atomic_load(&freezer->window->board->phase);
    if (freezer->window->board->frozen_at != 0 && !freezer->frozen_told) {
        int64_t hold_ms = freezer->window->board->options.hold_timeout_us / 1000;
        freezer->frozen_told = true;
        disown_busy(freezer);
        set_watchdog(freezer, hold_ms == 0 ? -1 : hold_ms + THAW_GRACE_MS);
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
        if (message.type == FREEZER_UNLOCKED)
            log_warning("freeze",
                        "the freezer process cannot lock its memory (%s): a thaw while memory is "
                        "short may be late; give it CAP_IPC_LOCK",
                        g_strerror(message.error_number));
        if (fd >= 0 && freezer->window)
            freezer_window_keep_descriptor(freezer->window, message.slot, fd);
        else if (fd >= 0)
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

static bool hand_over(Freezer *freezer, const FreezerWindow *window, int predecessor_pidfd)
{
    if (predecessor_pidfd >= 0)
        freezer_message_send(freezer->socket_fd,
                             &(FreezerMessage){FREEZER_DESCRIPTOR, FREEZER_PREDECESSOR},
                             predecessor_pidfd);
    bool sent = freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_ADOPT, 0},
                                     window->board_fd);
    for (unsigned i = 0; sent && i < window->board->n_slots; i++)
        if (window->descriptors[i] >= 0)
            sent =
                freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_DESCRIPTOR, i},
                                     window->descriptors[i]);
    return sent && freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_THAW, 0}, -1);
}

/* Last resort where no other process can: the thaw may sleep, but nothing stays frozen. */
static void hand_over_or_thaw(Freezer *freezer, FreezerWindow *window, int predecessor_pidfd)
{
    if (freezer->pid <= 0 || !hand_over(freezer, window, predecessor_pidfd))
        freezer_window_thaw_here(window);
}

static void replace(Freezer *freezer, bool cannot_thread, int predecessor_pidfd)
{
    g_autoptr(GError) error = NULL;

    if (!spawn(freezer, &error))
        log_error("freeze", "%s", error->message);
    if (freezer->window_open) {
        if (atomic_load(&freezer->window->board->end) != FREEZE_END_RECOVERED)
            atomic_store(&freezer->window->board->end, FREEZE_END_FREEZER_DIED);
        if (cannot_thread)
            freezer_window_thaw_here(freezer->window);
        else
            hand_over_or_thaw(freezer, freezer->window, predecessor_pidfd);
        set_watchdog(freezer, THAW_GRACE_MS);
        look_at_phase(freezer);
    } else if (freezer->window && freezer_window_find_unsettled(freezer->window, NULL)) {
        hand_over_or_thaw(freezer, freezer->window, predecessor_pidfd);
    }
    for (unsigned i = 0; i < freezer->old_windows->len; i++)
        hand_over_or_thaw(freezer, g_ptr_array_index(freezer->old_windows, i), predecessor_pidfd);
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
    bool cannot_thread =
        is_gone && WIFEXITED(status) && WEXITSTATUS(status) == FREEZER_EXIT_NO_THREADS;
    replace(freezer, cannot_thread, pidfd);
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

    if (!freezer->window_open && !freezer_has_straggler(freezer, NULL)) {
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
    freezer->old_windows = g_ptr_array_new_with_free_func((GDestroyNotify)freezer_window_free);
    if (spawn(freezer, error))
        return freezer;
    g_ptr_array_unref(freezer->old_windows);
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
    freezer_window_free(freezer->window);
    g_ptr_array_unref(freezer->old_windows);
    g_free(freezer->state_path);
    g_free(freezer);
}

/* ---- orders ---- */

static bool check_ready(Freezer *freezer, const FreezePlan *plan, GError **error)
{
    drop_settled_windows(freezer);
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
    if (!check_ready(freezer, plan, error) || !install_window(freezer, plan, options, error))
        return false;
    g_autoptr(FreezePlan) stragglers = list_stragglers(freezer);
    if (!state_file_write(freezer->state_path, command, plan, stragglers, freezer->pid,
                          &state_error))
        log_warning("freeze",
                    "%s: should the agent and its freezer process die together, the next start "
                    "will not know what to thaw",
                    state_error->message);
    if (!freezer_message_send(freezer->socket_fd, &(FreezerMessage){FREEZER_FREEZE, 0},
                              freezer->window->board_fd)) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot reach the freezer process: %s", g_strerror(errno));
        if (!freezer_has_straggler(freezer, NULL))
            settle_state_file(freezer);
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

bool freezer_recover(Freezer *freezer, const StateFile *left, GError **error)
{
    static const FreezeOptions no_limits = {0};

    g_return_val_if_fail(!freezer->window_open, false);
    if (!install_window(freezer, left->plan, &no_limits, error))
        return false;
    for (unsigned i = 0; i < freezer->window->board->n_slots; i++)
        atomic_store(&freezer->window->board->slots[i].outcome, FREEZE_THAWING);
    atomic_store(&freezer->window->board->end, FREEZE_END_RECOVERED);
    rcu_switch_put_back(left->rcu_restore == 0 ? 0 : -1); /* what was on stays on */
    int predecessor_pidfd = open_predecessor(left->freezer_pid);
    open_window(freezer);
    set_watchdog(freezer, THAW_GRACE_MS);
    hand_over_or_thaw(freezer, freezer->window, predecessor_pidfd);
    if (predecessor_pidfd >= 0)
        close(predecessor_pidfd);
    return true;
}

const FreezeBoard *freezer_board(const Freezer *freezer)
{
    return freezer->window ? freezer->window->board : NULL;
}
