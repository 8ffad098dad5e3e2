/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freezer-window.h"

#include "platform/freeze-ioctl.h"
#include "platform/rcu.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

FreezerWindow *freezer_window_new(const FreezePlan *plan, const FreezeOptions *options,
                                  GError **error)
{
    int board_fd;
    FreezeBoard *board = freeze_board_new(plan, options, &board_fd, error);

    if (!board)
        return NULL;
    FreezerWindow *window = g_new0(FreezerWindow, 1);
    window->board = board;
    window->board_fd = board_fd;
    window->descriptors = g_new(int, board->n_slots + 1);
    for (unsigned i = 0; i < board->n_slots; i++)
        window->descriptors[i] = -1;
    return window;
}

static void close_descriptor(FreezerWindow *window, unsigned slot)
{
    if (window->descriptors[slot] >= 0)
        close(window->descriptors[slot]);
    window->descriptors[slot] = -1;
}

void freezer_window_free(FreezerWindow *window)
{
    if (!window)
        return;
    for (unsigned i = 0; i < window->board->n_slots; i++)
        close_descriptor(window, i);
    g_free(window->descriptors);
    close(window->board_fd);
    freeze_board_unmap(window->board);
    g_free(window);
}

void freezer_window_keep_descriptor(FreezerWindow *window, unsigned slot, int fd)
{
    if (slot < window->board->n_slots && window->descriptors[slot] < 0)
        window->descriptors[slot] = fd;
    else
        close(fd);
}

void freezer_window_close_settled(FreezerWindow *window)
{
    for (unsigned i = 0; i < window->board->n_slots; i++)
        if (!freeze_slot_is_unsettled(&window->board->slots[i]))
            close_descriptor(window, i);
}

static bool plan_has(const FreezePlan *plan, dev_t device)
{
    for (unsigned i = 0; i < plan->targets->len; i++)
        if (((const FreezeTarget *)g_ptr_array_index(plan->targets, i))->device == device)
            return true;
    return false;
}

const FreezeSlot *freezer_window_find_unsettled(const FreezerWindow *window, const FreezePlan *plan)
{
    for (unsigned i = 0; i < window->board->n_slots; i++) {
        const FreezeSlot *slot = &window->board->slots[i];
        if (freeze_slot_is_unsettled(slot) && (!plan || plan_has(plan, slot->device)))
            return slot;
    }
    return NULL;
}

static FreezeTarget *target_of(const FreezeSlot *slot)
{
    FreezeTarget *target = g_new0(FreezeTarget, 1);

    target->mount_point = g_strdup(slot->mount_point);
    target->fs_type = g_strdup(slot->fs_type);
    target->source = g_strdup(slot->source);
    target->device = slot->device;
    target->mount_id = slot->mount_id;
    target->namespace_pid = slot->namespace_pid;
    target->namespace_inode = slot->namespace_inode;
    target->wave = slot->wave;
    target->aliases = g_ptr_array_new_with_free_func(g_free);
    return target;
}

void freezer_window_add_unsettled(const FreezerWindow *window, FreezePlan *plan)
{
    for (unsigned i = 0; i < window->board->n_slots; i++)
        if (freeze_slot_is_unsettled(&window->board->slots[i]))
            g_ptr_array_add(plan->targets, target_of(&window->board->slots[i]));
}

void freezer_window_thaw_here(FreezerWindow *window)
{
    FreezeBoard *board = window->board;

    rcu_switch_put_back(atomic_exchange(&board->rcu_restore, -1));
    if (board->thawing_at == 0)
        board->thawing_at = freeze_clock_now();
    /* The slots are sorted by wave: backwards, what others lie on comes first. */
    for (unsigned i = board->n_slots; i-- > 0;) {
        FreezeSlot *slot = &board->slots[i];
        if (!freeze_outcome_needs_thaw(atomic_load(&slot->outcome)) || window->descriptors[i] < 0)
            continue;
        int error_number = freeze_ioctl_thaw(window->descriptors[i]);
        slot->thawed_at = freeze_clock_now();
        if (error_number == 0 || error_number == EINVAL)
            atomic_store(&slot->outcome,
                         error_number == 0 ? FREEZE_THAWED : FREEZE_THAWED_BY_OTHERS);
        else
            atomic_store(&slot->error_number, error_number);
    }
    board->thawed_at = freeze_clock_now();
    atomic_store(&board->phase, FREEZE_PHASE_THAWED);
}
