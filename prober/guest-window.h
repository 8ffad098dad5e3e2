/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What an agent said about one window from freeze to thaw, and how long the host saw each part
 * take. Filled from the replies of quiesced's commands (the long form) or of guest-fsfreeze-* (a
 * mere count). Everything in here is the agent's word.
 */

/* Elements of any one list in a reply that are looked at. */
#define GUEST_WINDOW_MAX_LIST 1024

/* What a writer inside the guest saw on one filesystem. */
typedef struct {
    char *mount_point;
    int64_t writes_before;
    int64_t writes_during; /* completed while frozen; a lower bound from guest-exec writers */
    int64_t writes_after;
    double longest_gap_ms;   /* between two completed writes */
    double needed_gap_ms;    /* a gap this long covers the hold; 0: take the hold itself */
    int64_t gap_start_at_us; /* of the longest one; the guest's clock, 0: not told */
    int64_t gap_end_at_us;
    GArray *written_at_us; /* of int64_t, the host's monotonic clock: some moments, in order, at
                              which writes were completed; NULL: not known */
    bool read_only;   /* nothing could be written here at any time: proves nothing either way */
    char *error_text; /* why there are no (complete) numbers; NULL when there are */
} CanaryRecord;

CanaryRecord *canary_record_new(const char *mount_point);
void canary_record_free(CanaryRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CanaryRecord, canary_record_free)

/* Durations are negative when the agent did not tell. */
typedef struct {
    char *key; /* the device number where told, else the mount point */
    char *mount_point;
    char *fs_type;
    char *device;
    char *uuid;
    char *outcome; /* of the thaw: "thawed", "thawed-by-others", "thawing" */
    char *error_text;
    double presync_ms;
    double freeze_ms;
    double held_ms;
    double thaw_ms;
    int64_t frozen_at_us; /* the guest's clock; 0: not told */
    int64_t thawed_at_us;
    CanaryRecord *canary; /* NULL when no writer ran here */
} WindowFilesystem;

typedef struct {
    char *mount_point;
    char *fs_type;
    char *device;
    char *reason; /* NULL in a list that has only one reason */
} WindowSkip;

typedef struct {
    char *path;
    const char *event; /* "freeze" or "thaw" */
    bool ok;
    double duration_ms;
    char *error_text;
} WindowHook;

typedef struct {
    bool detailed; /* the replies were quiesced's: the lists below mean something when empty */

    bool freeze_replied;
    int64_t frozen_count;
    int64_t hold_timeout_ms; /* negative: not told */
    char *freeze_error;      /* the agent's own error, NULL when there was none */
    int64_t freeze_us;       /* from request to reply */
    int64_t frozen_at_us;    /* when the reply came, by the host's monotonic clock; 0: never */

    unsigned frozen_answers; /* how often the status read "frozen" during the hold */
    char *other_answer;      /* the first status during the hold that read otherwise */
    int64_t hold_us;         /* from the freeze's reply to the thaw's request */

    bool thaw_replied;
    unsigned thaw_tries; /* more than one: an earlier try may have thawed, unheard */
    int64_t thawed_count;
    char *thaw_error; /* the agent's own error */
    int64_t thaw_us;
    bool intact_known;
    bool intact;
    char *broken_reason;

    GPtrArray *filesystems; /* of WindowFilesystem */
    GPtrArray *skips;       /* of WindowSkip */
    GPtrArray *not_covered; /* of WindowSkip: mounted during the hold */
    GPtrArray *hooks;       /* of WindowHook */
} GuestWindow;

GuestWindow *guest_window_new(void);
void guest_window_free(GuestWindow *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestWindow, guest_window_free)

/*
 * Takes in the value of "return": a number from guest-fsfreeze-freeze(-list) and
 * guest-fsfreeze-thaw, an object from quiesce-freeze and quiesce-thaw. False when it is neither:
 * such a reply claims nothing.
 */
bool guest_window_take_freeze(GuestWindow *window, json_object *reply);
bool guest_window_take_thaw(GuestWindow *window, json_object *reply);

/* The filesystem with this mount point, NULL when the agent named none. Borrowed. */
const WindowFilesystem *guest_window_find(const GuestWindow *window, const char *mount_point);
/* Why the agent left this mount point out, NULL when it did not say so. Borrowed. */
const WindowSkip *guest_window_find_skip(const GuestWindow *window, const char *mount_point);
