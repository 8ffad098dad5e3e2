/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/activity-log.h"
#include "prober/evidence.h"
#include "prober/guest-filesystems.h"
#include "prober/verdict.h"

#include <glib.h>

/*
 * From what was seen of a guest, while somebody else may have frozen it, to a word. Pure.
 *
 * Where the agent tells of a freeze, the disks are to have stood still in it, by the same rules as
 * in verify. Where it keeps a history and tells of none, nobody froze through it. Where it could
 * not be asked, the counters alone remain: disks that were busy all the time and never paused for
 * as long as a freeze and a snapshot take were not frozen; a pause that is no accident may have
 * been a freeze, which nobody confirms.
 */
typedef enum {
    WATCH_WORD_NONE,    /* the agent could not be asked, or keeps nothing that could be asked for */
    WATCH_WORD_ANSWERS, /* its status was asked for now and then */
    WATCH_WORD_HISTORY, /* its history was read afterwards */
} WatchWord;

/* Shorter than this is no freeze, snapshot and thaw: qemu-ga's freeze alone stops a filesystem's
 * writers for about 31 ms, RCU being what it waits for, and QEMU needs 10 ms for a snapshot. */
#define WATCH_SHORTEST_FREEZE_US (40 * 1000)

typedef struct {
    WatchWord word;
    const char *word_problem; /* with WATCH_WORD_NONE: why */
    const char *word_remedy;
    unsigned answers;              /* with WATCH_WORD_ANSWERS: how many */
    GPtrArray *freezes;            /* of ObservedFreeze; gets its activity filled in */
    bool frozen_at_end;            /* the agent calls itself frozen afterwards */
    const GuestFilesystems *guest; /* NULL: the guest does not tell */
    const ActivityLog *activity;   /* NULL: none, and the next two say why */
    const char *activity_unavailable;
    const char *activity_remedy;
    const char *activity_lost; /* why it ended early; NULL: it did not */
    int64_t watched_us;        /* for how long */
} WatchFindings;

typedef struct {
    GPtrArray *evidence; /* of Evidence */
    GArray *stills;      /* of ActivityStill: when all busy disks stood still, whoever did it */
    bool nobody_froze;   /* it is known that there was no freeze, or none worth the name */
    Verdict verdict;
    Consistency consistency;
} WatchJudgement;

WatchJudgement *watch_judge(const WatchFindings *findings);
void watch_judgement_free(WatchJudgement *judgement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WatchJudgement, watch_judgement_free)
