/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-board.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool fill_slot(FreezeSlot *slot, const FreezeTarget *target, GError **error)
{
    if (strlen(target->mount_point) >= sizeof slot->mount_point) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NAMETOOLONG,
                    "cannot plan to freeze %.64s...: the path is longer than %zu bytes",
                    target->mount_point, sizeof slot->mount_point - 1);
        return false;
    }
    g_strlcpy(slot->mount_point, target->mount_point, sizeof slot->mount_point);
    g_strlcpy(slot->fs_type, target->fs_type, sizeof slot->fs_type);
    g_strlcpy(slot->source, target->source, sizeof slot->source);
    slot->device = target->device;
    slot->mount_id = target->mount_id;
    slot->namespace_pid = target->namespace_pid;
    slot->namespace_inode = target->namespace_inode;
    slot->wave = target->wave;
    slot->presync_us = slot->freeze_us = slot->thaw_us = -1;
    return true;
}

static FreezeBoard *map(int fd, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) == 0) {
        void *memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED)
            return memory;
    }
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                "cannot map the freeze board: %s", g_strerror(errno));
    return NULL;
}

static size_t board_size(unsigned n_slots)
{
    return sizeof(FreezeBoard) + n_slots * sizeof(FreezeSlot);
}

FreezeBoard *freeze_board_new(const FreezePlan *plan, const FreezeOptions *options, int *fd,
                              GError **error)
{
    g_autoptr(FreezeBoard) board = NULL;
    int memory_fd = memfd_create("quiesced-freeze-board", MFD_CLOEXEC);

    *fd = -1;
    if (memory_fd < 0 || ftruncate(memory_fd, (off_t)board_size(plan->targets->len)) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot allocate the freeze board: %s", g_strerror(errno));
        if (memory_fd >= 0)
            close(memory_fd);
        return NULL;
    }
    board = map(memory_fd, error);
    if (!board) {
        close(memory_fd);
        return NULL;
    }
    board->options = *options;
    board->waves = plan->waves;
    board->n_slots = plan->targets->len;
    board->rcu_restore = -1;
    for (unsigned i = 0; i < board->n_slots; i++)
        if (!fill_slot(&board->slots[i], g_ptr_array_index(plan->targets, i), error)) {
            close(memory_fd);
            return NULL;
        }
    *fd = memory_fd;
    return g_steal_pointer(&board);
}

FreezeBoard *freeze_board_map(int fd, GError **error)
{
    return map(fd, error);
}

void freeze_board_unmap(FreezeBoard *board)
{
    if (board)
        munmap(board, board_size(board->n_slots));
}

const char *freeze_outcome_name(FreezeOutcome outcome)
{
    static const char *const names[] = {
        [FREEZE_PENDING] = "pending",       [FREEZE_FREEZING] = "freezing",
        [FREEZE_FROZEN] = "frozen",         [FREEZE_UNSUPPORTED] = "unsupported",
        [FREEZE_BUSY] = "frozen-by-others", [FREEZE_GONE] = "gone",
        [FREEZE_FAILED] = "failed",         [FREEZE_THAWING] = "thawing",
        [FREEZE_THAWED] = "thawed",         [FREEZE_THAWED_BY_OTHERS] = "thawed-by-others",
    };

    return names[outcome];
}

const char *freeze_outcome_skip_reason(FreezeOutcome outcome)
{
    switch (outcome) {
    case FREEZE_UNSUPPORTED:
        return "its type cannot be frozen";
    case FREEZE_BUSY:
        return "somebody else had frozen it before; it is left to them";
    case FREEZE_GONE:
        return "it was unmounted meanwhile";
    default:
        return NULL;
    }
}

bool freeze_outcome_needs_thaw(FreezeOutcome outcome)
{
    return outcome == FREEZE_FREEZING || outcome == FREEZE_FROZEN || outcome == FREEZE_THAWING;
}

bool freeze_slot_is_unsettled(const FreezeSlot *slot)
{
    return atomic_load(&slot->sleeping) ||
           freeze_outcome_needs_thaw((FreezeOutcome)atomic_load(&slot->outcome));
}

char *freeze_slot_describe(const FreezeSlot *slot)
{
    return g_strdup_printf("%s (%s on %s%s)", slot->mount_point, slot->fs_type, slot->source,
                           slot->namespace_pid ? ", in another mount namespace" : "");
}

int64_t freeze_clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}
