/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/freeze-plan.h"

#include <glib.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The memory that the daemon and the freezer process share for one freeze: the plan, written by the
 * daemon, and next to it how far each filesystem has got, written by the freezer. It is a memfd, so
 * that whoever survives the other still knows what is frozen.
 *
 * Moments are microseconds of CLOCK_BOOTTIME: it neither stops in suspend nor follows a stepped
 * wall clock, so hold-timeout keeps its promise across both (clock_gettime(2)).
 */

typedef enum {
    FREEZE_PHASE_PLANNED,
    FREEZE_PHASE_PRESYNC,
    FREEZE_PHASE_FREEZING,
    FREEZE_PHASE_FROZEN,
    FREEZE_PHASE_THAWING,
    FREEZE_PHASE_THAWED, /* the freezer is through with it; stragglers, if any, are retried */
} FreezePhase;

/* What became of one filesystem. */
typedef enum {
    FREEZE_PENDING,          /* nothing happened yet */
    FREEZE_FREEZING,         /* FIFREEZE has been issued and has not returned */
    FREEZE_FROZEN,           /* frozen by us */
    FREEZE_UNSUPPORTED,      /* it cannot be frozen (EOPNOTSUPP): left out, no error */
    FREEZE_BUSY,             /* somebody else had frozen it before us (EBUSY): left alone */
    FREEZE_GONE,             /* unmounted between plan and freeze: left out */
    FREEZE_FAILED,           /* it could not be opened or frozen, or overran its deadline */
    FREEZE_THAWING,          /* FITHAW has been issued and has not returned, or is retried */
    FREEZE_THAWED,           /* frozen by us and thawed by us */
    FREEZE_THAWED_BY_OTHERS, /* frozen by us, thawed by somebody else: the window is broken */
} FreezeOutcome;

/* Why a window ended. */
typedef enum {
    FREEZE_END_REQUESTED,    /* a thaw command */
    FREEZE_END_FAILED,       /* the freeze failed or overran; what was frozen has been thawed */
    FREEZE_END_HOLD_TIMEOUT, /* the thaw command never came */
    FREEZE_END_DAEMON_DIED,  /* the freezer process thawed */
    FREEZE_END_FREEZER_DIED, /* the daemon had a new freezer process thaw */
    FREEZE_END_RECOVERED,    /* an earlier run had left it frozen */
} FreezeEnd;

typedef struct {
    int64_t presync_timeout_us; /* 0 = no limit, as for the other two */
    int64_t freeze_timeout_us;
    int64_t hold_timeout_us;
    bool expedite_rcu;
} FreezeOptions;

typedef struct {
    /* The plan; constant once the freezer has it. */
    char mount_point[PATH_MAX];
    char fs_type[64];
    char source[256];
    dev_t device;
    int mount_id; /* 0: unknown */
    pid_t namespace_pid;
    uint64_t namespace_inode; /* 0: unknown */
    unsigned wave;

    /* Progress. */
    _Atomic int outcome;      /* FreezeOutcome */
    _Atomic bool sleeping;    /* open(2) or syncfs(2) has been called and has not returned */
    _Atomic int error_number; /* errno of the last call that failed; 0 = none */
    char failed_call[16];     /* "open", "FIFREEZE", ...; valid when error_number is set */
    char uuid[40];            /* "" when unknown */
    int64_t presync_us;       /* how long each call took; -1: it was not made or did not return */
    int64_t freeze_us;
    int64_t thaw_us;
    int64_t frozen_at; /* CLOCK_BOOTTIME; 0: never */
    int64_t thawed_at;
} FreezeSlot;

typedef struct {
    FreezeOptions options;
    unsigned waves;
    unsigned n_slots;

    _Atomic int phase;  /* FreezePhase */
    _Atomic int end;    /* FreezeEnd; valid from FREEZE_PHASE_THAWING on */
    int64_t presync_at; /* when each phase began; 0: it did not */
    int64_t freezing_at;
    int64_t frozen_at;
    int64_t thawing_at;
    int64_t thawed_at;
    bool presync_timed_out;
    int rcu_error; /* errno with which expediting RCU failed; 0 = it worked or was not wanted */
    _Atomic int rcu_restore; /* what /sys/kernel/rcu_expedited held; -1: nothing to put back */

    FreezeSlot slots[];
} FreezeBoard;

/* A new board in a memfd for the plan, everything pending. *fd is the caller's. A path that does
 * not fit PATH_MAX or a failing memfd_create() is an error. */
FreezeBoard *freeze_board_new(const FreezePlan *plan, const FreezeOptions *options, int *fd,
                              GError **error);
/* The board behind a memfd that came from the other process. */
FreezeBoard *freeze_board_map(int fd, GError **error);
void freeze_board_unmap(FreezeBoard *board);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FreezeBoard, freeze_board_unmap)

/* "pending", "frozen", "thawed-by-others", ...: as quiesce-status and quiesce-thaw spell it. */
const char *freeze_outcome_name(FreezeOutcome outcome);

/* Why a filesystem of the plan was left alone after all, for people; NULL when it was not. */
const char *freeze_outcome_skip_reason(FreezeOutcome outcome);

/* True while the filesystem is, or may at any moment become, frozen by us. */
bool freeze_outcome_needs_thaw(FreezeOutcome outcome);

/* True while a call for it sleeps in the kernel or it needs a thaw: not to be touched meanwhile. */
bool freeze_slot_is_unsettled(const FreezeSlot *slot);

/* "/srv (xfs on /dev/vdb)": how messages name a filesystem. */
char *freeze_slot_describe(const FreezeSlot *slot);

/* Microseconds of CLOCK_BOOTTIME. */
int64_t freeze_clock_now(void);
