/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-crew.h"

#include "platform/freeze-ioctl.h"
#include "platform/fs-uuid.h"
#include "platform/mount-table.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define WORKER_STACK_BYTES (256u * 1024)
#define THAW_RETRY_MS 200
/* What was written while a long sync ran would be the freeze's to write, with writers waiting. */
#define PRESYNC_ROUNDS 3
#define PRESYNC_SETTLED_US 10000

typedef struct {
    FreezeCrew *crew;
    FreezeSlot *slot;
    _Atomic int fd;
    sem_t wake;
    _Atomic int wanted;    /* FreezeOrder */
    _Atomic unsigned done; /* bit per FreezeOrder */
    _Atomic bool dismissed;
} Worker;

struct FreezeCrew {
    FreezeBoard *board;
    int notify_fd;
    int predecessor_pidfd;
    void (*gone)(void *data);
    void *gone_data;
    _Atomic unsigned references; /* the owner's and one per thread */
    unsigned n_workers;
    _Atomic unsigned *outstanding[FREEZE_ORDERS]; /* per wave: workers still at it */
    Worker *workers;
};

static void notify(FreezeCrew *crew)
{
    eventfd_write(crew->notify_fd, 1);
}

static void set_outcome(Worker *worker, FreezeOutcome outcome)
{
    atomic_store(&worker->slot->outcome, outcome);
}

static void fail(Worker *worker, const char *call, int error_number)
{
    g_strlcpy(worker->slot->failed_call, call, sizeof worker->slot->failed_call);
    atomic_store(&worker->slot->error_number, error_number);
}

/* False when the mount point shows another mount than the plan saw: it was unmounted meanwhile, and
 * freezing what lies below would be a surprise. */
static bool lies_on_slot(int fd, const FreezeSlot *slot)
{
    struct statx stx;

    if (slot->mount_id == 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0 ||
        !(stx.stx_mask & STATX_MNT_ID))
        return true; /* before Linux 5.8 the kernel does not tell */
    return stx.stx_mnt_id == (uint64_t)slot->mount_id;
}

/* The process through which the plan saw the namespace may have ended since, a hook can take its
 * time, while the namespace lives on in others. */
static pid_t namespace_process(const FreezeSlot *slot)
{
    pid_t found = slot->namespace_inode != 0
                      ? mount_table_find_process(slot->namespace_inode, slot->namespace_pid)
                      : 0;

    return found != 0 ? found : slot->namespace_pid;
}

static int open_mount_point(const FreezeSlot *slot)
{
    char path[PATH_MAX + 32] = "";
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

    if (slot->namespace_pid)
        g_snprintf(path, sizeof path, "/proc/%d/root", (int)namespace_process(slot));
    g_strlcat(path, slot->mount_point, sizeof path);
    int fd = open(path, flags | O_DIRECTORY);
    if (fd < 0 && errno == ENOTDIR)
        fd = open(path, flags); /* a bind-mounted file */
    return fd;
}

static void carry_out_open(Worker *worker)
{
    FreezeSlot *slot = worker->slot;

    if (worker->fd >= 0)
        return;
    int fd = open_mount_point(slot);

    if (fd < 0 && errno != ENOENT && errno != ENOTDIR) {
        fail(worker, "open", errno);
        set_outcome(worker, FREEZE_FAILED);
        notify(worker->crew);
        return;
    }
    if (fd >= 0 && !lies_on_slot(fd, slot)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        set_outcome(worker, FREEZE_GONE);
        return;
    }
    fs_uuid_read(fd, slot->source, slot->uuid);
    atomic_store(&worker->fd, fd);
}

static void carry_out_presync(Worker *worker)
{
    int64_t start = freeze_clock_now();

    if (worker->fd < 0)
        return;
    for (unsigned round = 0; round < PRESYNC_ROUNDS; round++) {
        int64_t round_start = freeze_clock_now();
        /* An error here says nothing about the freeze to come, which syncs again and reports its
         * own. */
        if (syncfs(worker->fd) < 0)
            fail(worker, "syncfs", errno);
        bool settled = freeze_clock_now() - round_start < PRESYNC_SETTLED_US;
        if (settled || atomic_load(&worker->wanted) != FREEZE_ORDER_NONE)
            break;
    }
    worker->slot->presync_us = freeze_clock_now() - start;
}

static void carry_out_freeze(Worker *worker)
{
    FreezeSlot *slot = worker->slot;

    if (worker->fd < 0)
        return;
    atomic_store(&slot->error_number,
                 0); /* a pre-sync's; a deadline's, set meanwhile, is to stay */
    set_outcome(worker, FREEZE_FREEZING);
    int64_t start = freeze_clock_now();
    int error_number = freeze_ioctl_freeze(worker->fd);
    int64_t end = freeze_clock_now();

    if (error_number == 0) {
        slot->freeze_us = end - start;
        slot->frozen_at = end;
        set_outcome(worker, FREEZE_FROZEN);
        return;
    }
    fail(worker, "FIFREEZE", error_number);
    if (error_number == EOPNOTSUPP) {
        set_outcome(worker, FREEZE_UNSUPPORTED);
    } else if (error_number == EBUSY) {
        set_outcome(worker, FREEZE_BUSY);
    } else {
        set_outcome(worker, FREEZE_FAILED);
        notify(worker->crew);
    }
}

static bool predecessor_lives(const FreezeCrew *crew)
{
    struct pollfd pidfd = {.fd = crew->predecessor_pidfd, .events = POLLIN};

    return crew->predecessor_pidfd >= 0 && poll(&pidfd, 1, 0) == 0;
}

static void pause_before_retry(void)
{
    nanosleep(&(struct timespec){.tv_nsec = THAW_RETRY_MS * 1000000L}, NULL);
}

/* An adopted filesystem was perhaps still being frozen when its freezer died: only once that
 * process is gone with all its threads can no freeze succeed late any more. */
static int thaw_until_settled(Worker *worker, bool may_freeze_late)
{
    for (;;) {
        bool lives = predecessor_lives(worker->crew);
        int error_number = freeze_ioctl_thaw(worker->fd);
        if (error_number == 0 && !(may_freeze_late && lives))
            return 0;
        if (error_number == EINVAL && !(may_freeze_late && lives))
            return EINVAL;
        if (error_number != 0 && error_number != EINVAL)
            fail(worker, "FITHAW", error_number);
        pause_before_retry();
    }
}

/* The mount point that another process froze may by now show another mount, and mount numbers are
 * not the same in every namespace: only the device number tells. That of btrfs is not the
 * superblock's, but a thaw of what is not frozen does no harm. */
static int open_same_device(const Mount *mount)
{
    char path[PATH_MAX + 32] = "";
    struct stat st;

    if (mount->namespace_pid)
        g_snprintf(path, sizeof path, "/proc/%d/root", (int)mount->namespace_pid);
    g_strlcat(path, mount->mount_point, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_DIRECTORY);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && (st.st_dev == mount->device || major(mount->device) == 0))
        return fd;
    close(fd);
    errno = ENOENT;
    return -1;
}

/* False when the filesystem is mounted nowhere any more. */
static bool open_what_was_left(Worker *worker)
{
    for (;;) {
        g_autoptr(MountTable) mounts = mount_table_read(true, NULL);
        bool mounted = !mounts;
        for (unsigned i = 0; mounts && i < mounts->mounts->len; i++) {
            const Mount *mount = g_ptr_array_index(mounts->mounts, i);
            if (mount->device != worker->slot->device)
                continue;
            int fd = open_same_device(mount);
            if (fd >= 0) {
                atomic_store(&worker->fd, fd);
                return true;
            }
            mounted = true;
            fail(worker, "open", errno);
        }
        if (!mounted)
            return false;
        pause_before_retry();
    }
}

static void carry_out_thaw(Worker *worker)
{
    FreezeSlot *slot = worker->slot;
    FreezeOutcome before = atomic_load(&slot->outcome);

    if (!freeze_outcome_needs_thaw(before))
        return;
    set_outcome(worker, FREEZE_THAWING);
    if (worker->fd < 0 && !open_what_was_left(worker)) {
        set_outcome(worker, FREEZE_GONE);
        return;
    }
    int64_t start = freeze_clock_now();
    int error_number = thaw_until_settled(worker, before != FREEZE_FROZEN);
    slot->thawed_at = freeze_clock_now();
    slot->thaw_us = slot->thawed_at - start;
    bool somebody_else = error_number == EINVAL && before == FREEZE_FROZEN;
    set_outcome(worker, somebody_else ? FREEZE_THAWED_BY_OTHERS : FREEZE_THAWED);
}

static void carry_out(Worker *worker, FreezeOrder order)
{
    static void (*const steps[FREEZE_ORDERS])(Worker *) = {
        [FREEZE_ORDER_OPEN] = carry_out_open,
        [FREEZE_ORDER_PRESYNC] = carry_out_presync,
        [FREEZE_ORDER_FREEZE] = carry_out_freeze,
        [FREEZE_ORDER_THAW] = carry_out_thaw,
    };
    FreezeCrew *crew = worker->crew;

    if (order == FREEZE_ORDER_OPEN || order == FREEZE_ORDER_PRESYNC)
        atomic_store(&worker->slot->sleeping, true); /* the others have outcomes to tell it */
    steps[order](worker);
    atomic_store(&worker->slot->sleeping, false);
    atomic_fetch_or(&worker->done, 1u << order);
    bool last = atomic_fetch_sub(&crew->outstanding[order][worker->slot->wave], 1) == 1;
    /* A thaw does not wait for those that sleep, so it must hear of each that does not. */
    if (last || order == FREEZE_ORDER_THAW)
        notify(crew);
}

static void crew_unref(FreezeCrew *crew)
{
    if (atomic_fetch_sub(&crew->references, 1) != 1)
        return;
    for (unsigned i = 0; i < crew->n_workers; i++) {
        if (crew->workers[i].fd >= 0)
            close(crew->workers[i].fd);
        sem_destroy(&crew->workers[i].wake);
    }
    for (unsigned order = 0; order < FREEZE_ORDERS; order++)
        g_free(crew->outstanding[order]);
    crew->gone(crew->gone_data);
    g_free(crew->workers);
    g_free(crew);
}

static void *worker_main(void *data)
{
    Worker *worker = data;

    for (;;) {
        while (sem_wait(&worker->wake) < 0)
            ;
        FreezeOrder order = atomic_exchange(&worker->wanted, FREEZE_ORDER_NONE);
        if (order != FREEZE_ORDER_NONE)
            carry_out(worker, order);
        else if (atomic_load(&worker->dismissed))
            break;
    }
    int fd = atomic_exchange(&worker->fd, -1);
    if (fd >= 0)
        close(fd); /* now, and not with the last worker: it keeps the filesystem from being
                      unmounted */
    crew_unref(worker->crew);
    return NULL;
}

static int start_worker(Worker *worker)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    atomic_fetch_add(&worker->crew->references, 1);
    int error_number = pthread_create(&thread, &attributes, worker_main, worker);
    if (error_number != 0)
        atomic_fetch_sub(&worker->crew->references, 1);
    pthread_attr_destroy(&attributes);
    return error_number;
}

FreezeCrew *freeze_crew_new(FreezeBoard *board, int notify_fd, int predecessor_pidfd,
                            void (*crew_gone)(void *data), void *data, GError **error)
{
    FreezeCrew *crew = g_new0(FreezeCrew, 1);

    crew->board = board;
    crew->notify_fd = notify_fd;
    crew->predecessor_pidfd = predecessor_pidfd;
    crew->gone = crew_gone;
    crew->gone_data = data;
    crew->references = 1;
    crew->n_workers = board->n_slots;
    crew->workers = g_new0(Worker, board->n_slots);
    for (unsigned order = 0; order < FREEZE_ORDERS; order++)
        crew->outstanding[order] = g_new0(_Atomic unsigned, board->waves + 1);
    for (unsigned i = 0; i < crew->n_workers; i++) {
        Worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->slot = &board->slots[i];
        worker->fd = -1;
        sem_init(&worker->wake, 0, 0);
    }
    for (unsigned i = 0; i < crew->n_workers; i++) {
        int error_number = start_worker(&crew->workers[i]);
        if (error_number != 0) {
            g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(error_number),
                        "cannot start a freeze thread for %s: %s", board->slots[i].mount_point,
                        g_strerror(error_number));
            freeze_crew_dismiss(crew);
            return NULL;
        }
    }
    return crew;
}

void freeze_crew_dismiss(FreezeCrew *crew)
{
    for (unsigned i = 0; i < crew->n_workers; i++) {
        atomic_store(&crew->workers[i].dismissed, true);
        sem_post(&crew->workers[i].wake);
    }
    crew_unref(crew);
}

void freeze_crew_adopt(FreezeCrew *crew, unsigned slot, int fd)
{
    atomic_store(&crew->workers[slot].fd, fd);
}

int freeze_crew_fd(const FreezeCrew *crew, unsigned slot)
{
    return atomic_load(&crew->workers[slot].fd);
}

static bool in_wave(const Worker *worker, unsigned wave)
{
    return wave == FREEZE_CREW_ALL_WAVES || worker->slot->wave == wave;
}

void freeze_crew_order(FreezeCrew *crew, FreezeOrder order, unsigned wave)
{
    for (unsigned i = 0; i < crew->n_workers; i++)
        if (in_wave(&crew->workers[i], wave))
            atomic_fetch_add(&crew->outstanding[order][crew->workers[i].slot->wave], 1);
    for (unsigned i = 0; i < crew->n_workers; i++)
        if (in_wave(&crew->workers[i], wave)) {
            atomic_store(&crew->workers[i].wanted, order);
            sem_post(&crew->workers[i].wake);
        }
}

int freeze_crew_first_late(const FreezeCrew *crew, FreezeOrder order, unsigned wave)
{
    for (unsigned i = 0; i < crew->n_workers; i++)
        if (in_wave(&crew->workers[i], wave) && !(crew->workers[i].done & 1u << order))
            return (int)i;
    return -1;
}

bool freeze_crew_has_done(const FreezeCrew *crew, FreezeOrder order, unsigned wave)
{
    return freeze_crew_first_late(crew, order, wave) < 0;
}

int freeze_crew_first_failed(const FreezeCrew *crew)
{
    for (unsigned i = 0; i < crew->n_workers; i++)
        if (atomic_load(&crew->board->slots[i].outcome) == FREEZE_FAILED)
            return (int)i;
    return -1;
}
