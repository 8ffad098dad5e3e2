/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk-watch.h"
#include "prober/disk/disk-deadline.h"
#include "prober/disk/live-disks.h"
#include "prober/disk/volume.h"

#define FIRST_LIMIT_MS 5000
#define READINGS_BEFORE 5
#define BETWEEN_READINGS_US (100 * 1000)

struct DiskWatch {
    LiveDisks *disks; /* NULL: none, or closed */
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

static void find_volumes(DiskWatch *watch)
{
    const GPtrArray *disks = live_disks_list(watch->disks);
    g_autoptr(GPtrArray) wrapped = g_ptr_array_new_with_free_func((GDestroyNotify)named_disk_free);

    for (unsigned i = 0; i < disks->len; i++) {
        const NamedDisk *disk = g_ptr_array_index(disks, i);
        g_autoptr(DiskBytes) bytes = disk_deadline_wrap(watch->deadline, disk->bytes);
        g_ptr_array_add(wrapped, named_disk_new(disk->name, bytes));
    }
    disk_deadline_start(watch->deadline, FIRST_LIMIT_MS);
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
    find_volumes(watch);
    return watch;
}

void disk_watch_close(DiskWatch *watch)
{
    g_clear_pointer(&watch->volumes, g_ptr_array_unref);
    g_clear_pointer(&watch->disks, live_disks_free);
}

void disk_watch_free(DiskWatch *watch)
{
    disk_watch_close(watch);
    g_clear_pointer(&watch->history, disk_history_free);
    disk_deadline_unref(watch->deadline);
    g_free(watch->problem);
    g_free(watch);
}

void disk_watch_lose(DiskWatch *watch, const char *why)
{
    if (!watch->history || watch->findings.lost)
        return;
    g_free(watch->problem);
    watch->problem = g_strdup(why);
    watch->findings.lost = watch->problem;
}

/* Half a reading tells nothing: filesystems that were not reached would count as unknown. */
static void read_once(DiskWatch *watch, DiskPhase phase)
{
    if (!watch->volumes || watch->findings.lost)
        return;
    disk_deadline_start(watch->deadline, DISK_WATCH_LIMIT_MS);
    g_autoptr(GPtrArray) states = filesystem_states_read(watch->volumes);
    if (disk_deadline_was_missed(watch->deadline))
        disk_watch_lose(watch, phase == DISK_PHASE_HOLD
                                   ? "reading the disks took too long during the hold"
                                   : "reading the disks took too long before the freeze");
    else
        disk_history_add(watch->history, phase, states);
}

bool disk_watch_read_before(DiskWatch *watch, Interrupt *interrupt, GError **error)
{
    for (unsigned i = 0; i < READINGS_BEFORE && watch->volumes && !watch->findings.lost; i++) {
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
