/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk-watch.h"
#include "prober/disk/disk-deadline.h"
#include "prober/disk/live-disks.h"
#include "prober/disk/volume.h"
#include "prober/source-disks.h"

#define FIRST_LIMIT_MS 5000
#define READINGS_BEFORE 5
#define ASK_QEMU "add --qmp PATH, to have QEMU itself read them"
#define BETWEEN_READINGS_US (100 * 1000)

struct DiskWatch {
    LiveDisks *disks; /* NULL: none, or closed */
    /* Without QEMU's help: */
    const Target *target; /* NULL: with it, or closed */
    int64_t timeout_ms;
    int interrupt_fd;
    GPtrArray *listed;   /* of TargetDiskSource, as first told */
    GPtrArray *readable; /* those of them that could be opened; borrowed */
    char *unread;        /* what of the first that could not; NULL: all could */

    DiskDeadline *deadline;
    GPtrArray *volumes; /* of Volume; NULL without disks */
    DiskHistory *history;
    DiskFindings findings;
    char *problem;
};

static DiskWatch *watch_new(void)
{
    DiskWatch *watch = g_new0(DiskWatch, 1);

    watch->deadline = disk_deadline_new();
    return watch;
}

DiskWatch *disk_watch_new_unavailable(const char *why, const char *remedy)
{
    DiskWatch *watch = watch_new();

    watch->problem = g_strdup(why);
    watch->findings.unavailable = watch->problem;
    watch->findings.remedy = remedy;
    return watch;
}

static void lose(DiskWatch *watch, const char *why)
{
    if (!watch->history || watch->findings.lost)
        return;
    g_free(watch->problem);
    watch->problem = g_strdup(why);
    watch->findings.lost = watch->problem;
}

static void find_volumes(DiskWatch *watch, const GPtrArray *disks, int64_t limit_ms)
{
    g_autoptr(GPtrArray) wrapped = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);

    for (unsigned i = 0; i < disks->len; i++) {
        const NamedDisk *disk = g_ptr_array_index(disks, i);
        g_autoptr(DiskBytes) bytes = disk_deadline_wrap(watch->deadline, disk->bytes);
        g_ptr_array_add(wrapped, named_disk_new(disk->name, bytes));
    }
    disk_deadline_start(watch->deadline, limit_ms);
    g_clear_pointer(&watch->volumes, g_ptr_array_unref);
    watch->volumes = volumes_find(wrapped);
}

DiskWatch *disk_watch_new(Qmp *qmp, int64_t timeout_ms, int interrupt_fd)
{
    g_autoptr(GError) problem = NULL;
    DiskWatch *watch = watch_new();

    watch->disks =
        live_disks_open(qmp, MIN(timeout_ms, DISK_WATCH_LIMIT_MS), interrupt_fd, &problem);
    if (!watch->disks) {
        watch->problem = g_strdup(problem->message);
        watch->findings.unavailable = watch->problem;
        watch->findings.remedy = "leave QEMU's NBD server to this program meanwhile, or use "
                                 "--no-disk";
        return watch;
    }
    watch->history = disk_history_new();
    watch->findings.history = watch->history;
    find_volumes(watch, live_disks_list(watch->disks), FIRST_LIMIT_MS);
    return watch;
}

/* ---- without QEMU's help ---- */

static GPtrArray *ask_libvirt(const DiskWatch *watch, GError **error)
{
    return target_disk_sources(watch->target, MIN(watch->timeout_ms, DISK_WATCH_LIMIT_MS),
                               watch->interrupt_fd, error);
}

static DiskWatch *without_images(DiskWatch *watch, char *why)
{
    watch->problem = why;
    watch->findings.unavailable = why;
    return watch;
}

/* What cannot be opened now is not tried again while the guest is held. */
static void find_readable(DiskWatch *watch)
{
    for (unsigned i = 0; i < watch->listed->len; i++) {
        g_autoptr(GPtrArray) one = g_ptr_array_new();
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(one, watch->listed->pdata[i]);
        g_autoptr(GPtrArray) disks = source_disks_open(
            one, MIN(watch->timeout_ms, DISK_WATCH_LIMIT_MS), watch->interrupt_fd, problems);
        if (disks->len > 0)
            g_ptr_array_add(watch->readable, watch->listed->pdata[i]);
        else if (!watch->unread)
            watch->unread = g_strdup(problems->pdata[0]);
    }
}

DiskWatch *disk_watch_new_images(const Target *target, int64_t timeout_ms, int interrupt_fd)
{
    g_autoptr(GError) problem = NULL;
    DiskWatch *watch = watch_new();

    watch->target = target;
    watch->timeout_ms = timeout_ms;
    watch->interrupt_fd = interrupt_fd;
    watch->readable = g_ptr_array_new();
    watch->findings.remedy = ASK_QEMU;
    watch->listed = ask_libvirt(watch, &problem);
    if (!watch->listed)
        return without_images(watch, g_strdup(problem->message));
    find_readable(watch);
    watch->findings.unread = watch->unread;
    if (watch->readable->len == 0)
        return without_images(
            watch, g_strdup(watch->unread ? watch->unread : "libvirt names no writable disk"));
    watch->history = disk_history_new();
    watch->history->may_lag = true;
    watch->findings.history = watch->history;
    return watch;
}

static bool open_images(DiskWatch *watch)
{
    g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) disks = source_disks_open(watch->readable, DISK_WATCH_IMAGES_LIMIT_MS,
                                                   watch->interrupt_fd, problems);

    if (problems->len > 0) {
        lose(watch, problems->pdata[0]);
        return false;
    }
    find_volumes(watch, disks, DISK_WATCH_LIMIT_MS);
    return true;
}

/* A file that the guest no longer writes to would look quiet for ever. */
static void check_images(DiskWatch *watch)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GPtrArray) listed = ask_libvirt(watch, &problem);

    if (!listed)
        lose(watch, problem->message);
    else if (!source_disks_are_same(watch->listed, listed))
        lose(watch, "somebody gave the guest other disks, or took a snapshot, during "
                    "the hold");
}

/* ---- readings ---- */

void disk_watch_close(DiskWatch *watch)
{
    g_clear_pointer(&watch->volumes, g_ptr_array_unref);
    g_clear_pointer(&watch->disks, live_disks_free);
    watch->target = NULL;
}

void disk_watch_free(DiskWatch *watch)
{
    disk_watch_close(watch);
    g_clear_pointer(&watch->history, disk_history_free);
    disk_deadline_unref(watch->deadline);
    g_clear_pointer(&watch->readable, g_ptr_array_unref);
    g_clear_pointer(&watch->listed, g_ptr_array_unref);
    g_free(watch->unread);
    g_free(watch->problem);
    g_free(watch);
}

void disk_watch_lose(DiskWatch *watch, const char *why)
{
    if (!watch->history || watch->findings.lost)
        return;
    watch->findings.remedy = NULL;
    lose(watch, why);
}

static void doubt_unflushed(const GPtrArray *states)
{
    for (unsigned i = 0; i < states->len; i++) {
        FilesystemState *state = g_ptr_array_index(states, i);
        if (!state->by_unflushed)
            continue;
        state->state = DISK_STATE_UNKNOWN;
        g_autofree char *because = state->because;
        state->because = g_strdup_printf("%s, or its QEMU has it in memory still", because);
        state->remedy = g_strdup(ASK_QEMU);
    }
}

static bool can_read(const DiskWatch *watch)
{
    return watch->history && !watch->findings.lost && (watch->disks || watch->target);
}

/* Half a reading tells nothing: filesystems that were not reached would count as unknown. */
static void read_once(DiskWatch *watch, DiskPhase phase)
{
    if (!can_read(watch) || (watch->target && !open_images(watch)))
        return;
    if (!watch->target)
        disk_deadline_start(watch->deadline, DISK_WATCH_LIMIT_MS);
    g_autoptr(GPtrArray) states = filesystem_states_read(watch->volumes);
    if (watch->target)
        doubt_unflushed(states);
    if (disk_deadline_was_missed(watch->deadline))
        lose(watch, phase == DISK_PHASE_HOLD ? "reading the disks took too long during the hold"
                                             : "reading the disks took too long before the freeze");
    else
        disk_history_add(watch->history, phase, states);
    /* Our qemu-nbd need not stay, and knows only what the tables were. */
    if (watch->target)
        g_clear_pointer(&watch->volumes, g_ptr_array_unref);
}

bool disk_watch_read_before(DiskWatch *watch, Interrupt *interrupt, GError **error)
{
    for (unsigned i = 0; i < READINGS_BEFORE && can_read(watch); i++) {
        if (i > 0 && !interrupt_sleep(interrupt, BETWEEN_READINGS_US, error))
            return false;
        read_once(watch, DISK_PHASE_BEFORE);
        if (disk_history_all_in_use(watch->history, DISK_PHASE_BEFORE))
            break;
    }
    return true;
}

void disk_watch_read_in_hold(DiskWatch *watch)
{
    read_once(watch, DISK_PHASE_HOLD);
    if (watch->target && can_read(watch))
        check_images(watch);
}

const DiskFindings *disk_watch_findings(const DiskWatch *watch)
{
    return &watch->findings;
}

DiskHistory *disk_watch_steal_history(DiskWatch *watch)
{
    watch->findings.history = NULL;
    return g_steal_pointer(&watch->history);
}
