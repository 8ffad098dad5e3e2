/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/observed-freeze.h"
#include "prober/json-field.h"
#include "prober/status-poll.h"

static ObservedFreeze *freeze_new(void)
{
    ObservedFreeze *freeze = g_new0(ObservedFreeze, 1);

    freeze->held_ms = -1;
    freeze->window = guest_window_new();
    return freeze;
}

void observed_freeze_free(ObservedFreeze *freeze)
{
    g_free(freeze->command);
    g_free(freeze->thaw_command);
    g_free(freeze->reason);
    guest_window_free(freeze->window);
    g_clear_pointer(&freeze->activity, counter_watch_free);
    g_free(freeze);
}

bool observed_freeze_held(const ObservedFreeze *freeze)
{
    return freeze->end == HISTORY_INTACT || freeze->end == HISTORY_BROKEN;
}

static void count_hooks(HookOutcome *hooks, json_object *list)
{
    for (size_t i = 0; i < json_field_length(list, GUEST_WINDOW_MAX_LIST); i++) {
        bool ok = false;
        json_field_boolean(json_object_array_get_idx(list, i), "ok", &ok);
        hooks->ran++;
        hooks->failed += !ok;
    }
}

static ObservedFreeze *freeze_read(json_object *object)
{
    HistoryRecord record = history_record_read(object);
    ObservedFreeze *freeze = freeze_new();

    freeze->command = g_strdup(record.command);
    freeze->thaw_command = g_strdup(json_field_string(object, "thaw-command"));
    freeze->began_at_us = record.began_at_us;
    json_field_integer(object, "frozen-at-us", &freeze->frozen_at_us);
    json_field_integer(object, "thawed-at-us", &freeze->thawed_at_us);
    freeze->held_ms = record.held_ms;
    freeze->end = record.end;
    freeze->reason = g_strdup(record.reason);
    /* A window of the history has the members of both replies. */
    if (guest_window_take_freeze(freeze->window, object))
        guest_window_take_thaw(freeze->window, object);
    freeze->hooks.known = json_field_array(object, "freeze-hooks") != NULL;
    count_hooks(&freeze->hooks, json_field_array(object, "freeze-hooks"));
    count_hooks(&freeze->hooks, json_field_array(object, "thaw-hooks"));
    return freeze;
}

/* A freeze is known by the microsecond in which it began. */
static bool is_in(json_object *windows, int64_t began_at_us)
{
    for (size_t i = 0; i < json_field_length(windows, GUEST_WINDOW_MAX_LIST); i++) {
        int64_t other_us = 0;
        json_object *window = json_object_array_get_idx(windows, i);
        if (json_field_integer(window, "began-at-us", &other_us) && other_us == began_at_us)
            return true;
    }
    return false;
}

GPtrArray *observed_freezes_new(json_object *before, json_object *after, int64_t since_us)
{
    GPtrArray *freezes = g_ptr_array_new_with_free_func((GDestroyNotify)observed_freeze_free);
    json_object *known = json_field_array(before, "windows");
    json_object *windows = json_field_array(after, "windows");

    for (size_t i = 0; i < json_field_length(windows, GUEST_WINDOW_MAX_LIST); i++) {
        g_autoptr(ObservedFreeze) freeze = freeze_read(json_object_array_get_idx(windows, i));
        bool is_new = known ? !is_in(known, freeze->began_at_us) : freeze->began_at_us >= since_us;
        if (is_new)
            g_ptr_array_add(freezes, g_steal_pointer(&freeze));
    }
    return freezes;
}

void observed_freeze_place(ObservedFreeze *freeze, const GuestClock *clock)
{
    if (!clock->known || clock->slack_us > OBSERVED_FREEZE_MAX_SLACK_US ||
        freeze->frozen_at_us == 0 || freeze->held_ms < 0)
        return;

    int64_t frozen_us = freeze->frozen_at_us - clock->offset_us;
    int64_t thaw_us = frozen_us + (int64_t)(freeze->held_ms * 1000);
    int64_t thawed_us = MAX(thaw_us, freeze->thawed_at_us - clock->offset_us);
    freeze->placed = true;
    freeze->when = (ActivityWindow){
        .freeze_us = MIN(frozen_us, freeze->began_at_us - clock->offset_us) - clock->slack_us,
        .frozen_us = frozen_us + clock->slack_us,
        .thaw_us = thaw_us - clock->slack_us,
        .thawed_us = thawed_us + clock->slack_us,
    };
}

static ObservedFreeze *freeze_between(const StatusAnswer *before, const StatusAnswer *first,
                                      const StatusAnswer *last, const StatusAnswer *after)
{
    ObservedFreeze *freeze = freeze_new();

    freeze->end = HISTORY_INTACT;
    freeze->placed = true;
    freeze->when = (ActivityWindow){
        .freeze_us = before ? before->asked_us : 0,
        .frozen_us = first->answered_us,
        .thaw_us = last->asked_us,
        .thawed_us = after ? after->answered_us : G_MAXINT64,
    };
    freeze->held_ms = (double)MAX(last->asked_us - first->answered_us, 0) / 1000;
    return freeze;
}

GPtrArray *observed_freezes_from_answers(const GArray *answers)
{
    GPtrArray *freezes = g_ptr_array_new_with_free_func((GDestroyNotify)observed_freeze_free);
    const StatusAnswer *before = NULL; /* the last "thawed" */
    const StatusAnswer *first = NULL;  /* the first "frozen" since */
    const StatusAnswer *last = NULL;

    for (unsigned i = 0; i < answers->len; i++) {
        const StatusAnswer *answer = &g_array_index(answers, StatusAnswer, i);
        if (answer->frozen) {
            first = first ? first : answer;
            last = answer;
            continue;
        }
        if (first)
            g_ptr_array_add(freezes, freeze_between(before, first, last, answer));
        before = answer;
        first = NULL;
    }
    if (first)
        g_ptr_array_add(freezes, freeze_between(before, first, last, NULL));
    return freezes;
}
