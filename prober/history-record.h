/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdint.h>

/*
 * What one element of quiesce-history's "windows" comes to, for people: who froze, when, and
 * whether a snapshot taken then can be trusted. Pure. Everything in here is the agent's word.
 */
typedef enum {
    HISTORY_INTACT, /* all stayed frozen until the host's thaw */
    HISTORY_BROKEN, /* it was frozen, and not until the host's thaw */
    HISTORY_FAILED, /* the freeze ended with an error: nothing was held */
    HISTORY_EMPTY,  /* there was nothing to freeze */
} HistoryEnd;

/* Strings are borrowed from the record; NULL when it does not tell. */
typedef struct {
    int64_t began_at_us; /* since 1970; 0: not told */
    const char *command; /* that froze */
    int64_t filesystems; /* how many had been frozen; negative: not told */
    double held_ms;      /* negative: not told */
    HistoryEnd end;
    const char *reason; /* why it is not intact */
} HistoryRecord;

HistoryRecord history_record_read(json_object *window);

/* "intact", "BROKEN", "failed", "nothing" */
const char *history_end_name(HistoryEnd end);

/* "2026-11-21 02:24:53", in UTC; "" for 0 and for what is no time. Free with g_free(). */
char *history_record_time(int64_t at_us);
