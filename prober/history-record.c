/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/history-record.h"
#include "prober/guest-window.h"
#include "prober/json-field.h"

/* An agent that died left a record without a list of what it had frozen. */
static int64_t count_filesystems(json_object *window)
{
    json_object *list = json_field_array(window, "filesystems");

    return list ? (int64_t)json_field_length(list, GUEST_WINDOW_MAX_LIST) : -1;
}

/* What is told amiss counts against the window. */
static HistoryEnd end_of(json_object *window, const HistoryRecord *record)
{
    bool intact = false;

    if (json_field_string(window, "error"))
        return HISTORY_FAILED;
    if (json_field_boolean(window, "intact", &intact) && intact)
        return HISTORY_INTACT;
    return record->filesystems == 0 && !record->reason ? HISTORY_EMPTY : HISTORY_BROKEN;
}

HistoryRecord history_record_read(json_object *window)
{
    HistoryRecord record = {
        .command = json_field_string(window, "command"),
        .filesystems = count_filesystems(window),
        .held_ms = -1,
        .reason = json_field_string(window, "error"),
    };

    if (!record.reason)
        record.reason = json_field_string(window, "broken-reason");
    json_field_integer(window, "began-at-us", &record.began_at_us);
    record.end = end_of(window, &record);
    if (record.end == HISTORY_INTACT || record.end == HISTORY_BROKEN)
        json_field_number(window, "held-ms", &record.held_ms);
    return record;
}

const char *history_end_name(HistoryEnd end)
{
    static const char *const names[] = {
        [HISTORY_INTACT] = "intact",
        [HISTORY_BROKEN] = "BROKEN",
        [HISTORY_FAILED] = "failed",
        [HISTORY_EMPTY] = "nothing",
    };

    return names[end];
}

char *history_record_time(int64_t at_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(at_us / G_USEC_PER_SEC);

    return at_us != 0 && time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : g_strdup("");
}
