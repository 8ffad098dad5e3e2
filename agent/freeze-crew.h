/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-board.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The freezer process's threads for one board, one per filesystem, so that filesystems are synced,
 * frozen and thawed in parallel and one that sleeps for ever holds up nobody but its own thread.
 *
 * A worker obeys the latest order: an order that it has not begun is replaced by the next. So a
 * worker whose FIFREEZE overran the deadline finds FREEZE_ORDER_THAW when the call returns at last,
 * and thaws at once. FREEZE and THAW allocate no memory.
 */
typedef enum {
    FREEZE_ORDER_NONE,
    FREEZE_ORDER_OPEN,    /* open the mount point, read the UUID */
    FREEZE_ORDER_PRESYNC, /* syncfs */
    FREEZE_ORDER_FREEZE,  /* FIFREEZE */
    FREEZE_ORDER_THAW,    /* FITHAW, retried until it works */
    FREEZE_ORDERS
} FreezeOrder;

typedef struct FreezeCrew FreezeCrew;

/*
 * Starts the threads. notify_fd, an eventfd, is written when the last worker of a wave has carried
 * out an order, with each THAW that has been, and when an OPEN or FREEZE order fails; not owned.
 *
 * predecessor_pidfd (not owned) is -1, or names the freezer process that froze the board's
 * filesystems and died: a filesystem that it may still be about to freeze is thawed until that
 * process is entirely gone.
 *
 * board, notify_fd and predecessor_pidfd must last until the crew is gone: crew_gone(data) is
 * called then, from whichever thread is last; also when this fails, as threads may have started.
 */
FreezeCrew *freeze_crew_new(FreezeBoard *board, int notify_fd, int predecessor_pidfd,
                            void (*crew_gone)(void *data), void *data, GError **error);

/* Dismisses the threads: each ends once it has nothing left to do. Threads that sleep in the kernel
 * keep the crew alive until they return. */
void freeze_crew_dismiss(FreezeCrew *crew);

/* Gives a worker a descriptor on its filesystem, so that it need not open one; takes ownership. */
void freeze_crew_adopt(FreezeCrew *crew, unsigned slot, int fd);

/* The worker's descriptor; -1 while it has none. Still owned by the worker. */
int freeze_crew_fd(const FreezeCrew *crew, unsigned slot);

/* Orders every worker (FREEZE_CREW_ALL_WAVES) or one wave's. Never blocks. */
#define FREEZE_CREW_ALL_WAVES ((unsigned)-1)
void freeze_crew_order(FreezeCrew *crew, FreezeOrder order, unsigned wave);

/* True when all workers of the wave have carried out the order. */
bool freeze_crew_has_done(const FreezeCrew *crew, FreezeOrder order, unsigned wave);

/* The first slot of the wave that has not carried out the order, or -1. */
int freeze_crew_first_late(const FreezeCrew *crew, FreezeOrder order, unsigned wave);

/* The first slot that failed, or -1. */
int freeze_crew_first_failed(const FreezeCrew *crew);
