/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* quiesce-*: the freeze engine with all it knows; docs/extension-protocol.md. */
#include "agent/command.h"
#include "agent/freeze-engine.h"

#include <stdatomic.h>
#include <sys/sysmacros.h>

typedef struct {
    char **mountpoints;
    int64_t presync_timeout_ms;
    int64_t freeze_timeout_ms;
    int64_t hold_timeout_ms;
    bool has_presync_timeout;
    bool has_freeze_timeout;
    bool has_hold_timeout;
    bool canary;
} FreezeArguments;

static const Argument freeze_arguments[] = {
    ARGUMENT("mountpoints", ARGUMENT_STRINGS, OPTIONAL, FreezeArguments, mountpoints),
    ARGUMENT_WITH_PRESENCE("presync-timeout-ms", ARGUMENT_INTEGER, FreezeArguments,
                           presync_timeout_ms, has_presync_timeout),
    ARGUMENT_WITH_PRESENCE("freeze-timeout-ms", ARGUMENT_INTEGER, FreezeArguments,
                           freeze_timeout_ms, has_freeze_timeout),
    ARGUMENT_WITH_PRESENCE("hold-timeout-ms", ARGUMENT_INTEGER, FreezeArguments, hold_timeout_ms,
                           has_hold_timeout),
    ARGUMENT("canary", ARGUMENT_BOOLEAN, OPTIONAL, FreezeArguments, canary),
    ARGUMENT_END,
};

/* A day: longer than any snapshot takes, and no product with 1000 overflows. */
#define MAX_TIMEOUT_MS (24LL * 3600 * 1000)

/* ---- writing replies ---- */

static double in_ms(int64_t us)
{
    return (double)us / 1000;
}

static void write_moment(JsonWriter *reply, const char *name, const FreezeWindow *window,
                         int64_t moment)
{
    if (moment != 0)
        json_writer_integer(reply, name, freeze_window_wall_clock(window, moment));
}

static void write_duration(JsonWriter *reply, const char *name, int64_t us)
{
    if (us >= 0)
        json_writer_number(reply, name, in_ms(us));
}

static void write_identity(JsonWriter *reply, const FreezeSlot *slot)
{
    g_autofree char *number = g_strdup_printf("%u:%u", major(slot->device), minor(slot->device));

    json_writer_string(reply, "mountpoint", slot->mount_point);
    json_writer_string(reply, "type", slot->fs_type);
    json_writer_string(reply, "device", slot->source);
    json_writer_string(reply, "device-number", number);
    json_writer_optional_string(reply, "uuid", slot->uuid[0] ? slot->uuid : NULL);
}

static void write_hooks(JsonWriter *reply, const GPtrArray *hooks)
{
    json_writer_begin_array(reply, "hooks");
    for (unsigned i = 0; hooks && i < hooks->len; i++) {
        const HookResult *hook = g_ptr_array_index(hooks, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "path", hook->path);
        json_writer_boolean(reply, "ok", hook->ok);
        json_writer_number(reply, "duration-ms", in_ms(hook->duration_us));
        json_writer_optional_string(reply, "error", hook->error_text);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
}

static void write_skip(JsonWriter *reply, const char *mount_point, const char *type,
                       const char *device, const char *reason)
{
    json_writer_begin_object(reply, NULL);
    json_writer_string(reply, "mountpoint", mount_point ? mount_point : "");
    json_writer_string(reply, "type", type ? type : "");
    json_writer_string(reply, "device", device ? device : "");
    json_writer_string(reply, "reason", reason);
    json_writer_end_object(reply);
}

static void write_frozen_slot(JsonWriter *reply, const FreezeWindow *window, const FreezeSlot *slot)
{
    json_writer_begin_object(reply, NULL);
    write_identity(reply, slot);
    json_writer_integer(reply, "wave", slot->wave);
    write_duration(reply, "presync-ms", slot->presync_us);
    write_duration(reply, "freeze-ms", slot->freeze_us);
    write_moment(reply, "frozen-at-us", window, slot->frozen_at);
    json_writer_end_object(reply);
}

static FreezeOutcome outcome_of(const FreezeSlot *slot)
{
    return (FreezeOutcome)atomic_load(&slot->outcome);
}

/* What the plan left out, and what turned out not to be freezable or frozen by others. */
static void write_skipped(JsonWriter *reply, const FreezeWindow *window)
{
    static const char *const reasons[] = {
        [FREEZE_UNSUPPORTED] = "its type cannot be frozen",
        [FREEZE_BUSY] = "somebody else had frozen it before; it is left to them",
        [FREEZE_GONE] = "it was unmounted meanwhile",
    };

    json_writer_begin_array(reply, "skipped");
    for (unsigned i = 0; i < window->plan->skips->len; i++) {
        const FreezeSkip *skip = g_ptr_array_index(window->plan->skips, i);
        write_skip(reply, skip->mount_point, skip->fs_type, skip->source, skip->reason);
    }
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++) {
        const FreezeSlot *slot = &window->board->slots[i];
        FreezeOutcome outcome = outcome_of(slot);
        if (outcome < G_N_ELEMENTS(reasons) && reasons[outcome])
            write_skip(reply, slot->mount_point, slot->fs_type, slot->source, reasons[outcome]);
    }
    json_writer_end_array(reply);
}

/* ---- quiesce-freeze ---- */

static void write_freeze(JsonWriter *reply, const FreezeWindow *window)
{
    json_writer_begin_object(reply, "return");
    json_writer_integer(reply, "count", freeze_window_count(window, FREEZE_FROZEN));
    json_writer_number(reply, "hold-timeout-ms", in_ms(window->options.hold_timeout_us));
    json_writer_begin_array(reply, "filesystems");
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++)
        if (outcome_of(&window->board->slots[i]) == FREEZE_FROZEN)
            write_frozen_slot(reply, window, &window->board->slots[i]);
    json_writer_end_array(reply);
    write_skipped(reply, window);
    write_hooks(reply, window->freeze_hooks);
    json_writer_end_object(reply);
}

static void freeze_done(const FreezeWindow *window, const GError *error, void *user_data)
{
    CommandCall *call = user_data;

    if (!error)
        write_freeze(command_call_reply(call), window);
    command_call_finish(call, error ? g_error_copy(error) : NULL);
}

static bool set_timeout(int64_t *timeout_us, bool given, int64_t value_ms, const char *name,
                        GError **error)
{
    if (!given)
        return true;
    if (value_ms < 0 || value_ms > MAX_TIMEOUT_MS) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter '%s' is out of range: %" G_GINT64_FORMAT
                    " (0, no limit, to %lld milliseconds)",
                    name, value_ms, MAX_TIMEOUT_MS);
        return false;
    }
    *timeout_us = value_ms * 1000;
    return true;
}

static void start_freeze(Agent *agent, const void *arguments, CommandCall *call)
{
    const FreezeArguments *given = arguments;
    GError *error = NULL;
    FreezeRequest request = {
        .command = "quiesce-freeze",
        .mount_points = (const char *const *)given->mountpoints,
        .options = freeze_engine_options(agent->freeze_engine),
        .canary = given->canary,
    };

    if (set_timeout(&request.options.presync_timeout_us, given->has_presync_timeout,
                    given->presync_timeout_ms, "presync-timeout-ms", &error) &&
        set_timeout(&request.options.freeze_timeout_us, given->has_freeze_timeout,
                    given->freeze_timeout_ms, "freeze-timeout-ms", &error) &&
        set_timeout(&request.options.hold_timeout_us, given->has_hold_timeout,
                    given->hold_timeout_ms, "hold-timeout-ms", &error))
        freeze_engine_freeze(agent->freeze_engine, &request, freeze_done, call);
    else
        command_call_finish(call, error);
}

/* ---- quiesce-thaw ---- */

static void write_canary(JsonWriter *reply, const FreezeWindow *window, unsigned index)
{
    if (!window->canary_reports || index >= window->canary_reports->len)
        return;
    const CanaryReport *report = &g_array_index(window->canary_reports, CanaryReport, index);
    json_writer_begin_object(reply, "canary");
    json_writer_unsigned(reply, "writes-before", report->writes_before);
    json_writer_unsigned(reply, "writes-during", report->writes_during);
    json_writer_unsigned(reply, "writes-after", report->writes_after);
    write_duration(reply, "longest-gap-ms", report->longest_gap_us);
    write_moment(reply, "gap-start-at-us", window, report->gap_start_at);
    write_moment(reply, "gap-end-at-us", window, report->gap_end_at);
    json_writer_optional_string(reply, "error", report->error);
    json_writer_end_object(reply);
}

static void write_thawed_slot(JsonWriter *reply, const FreezeWindow *window, unsigned index)
{
    const FreezeSlot *slot = &window->board->slots[index];
    int error_number = atomic_load(&slot->error_number);

    json_writer_begin_object(reply, NULL);
    write_identity(reply, slot);
    json_writer_string(reply, "outcome", freeze_outcome_name(outcome_of(slot)));
    if (error_number != 0)
        json_writer_string(reply, "error", g_strerror(error_number));
    write_moment(reply, "frozen-at-us", window, slot->frozen_at);
    write_moment(reply, "thawed-at-us", window, slot->thawed_at);
    if (slot->thawed_at != 0)
        write_duration(reply, "held-ms", slot->thawed_at - slot->frozen_at);
    write_duration(reply, "thaw-ms", slot->thaw_us);
    write_canary(reply, window, index);
    json_writer_end_object(reply);
}

static void write_thaw(JsonWriter *reply, const FreezeWindow *window)
{
    g_autofree char *broken = freeze_window_broken_reason(window);

    json_writer_integer(reply, "count", freeze_window_count(window, FREEZE_THAWED));
    json_writer_boolean(reply, "intact", window->was_frozen && !broken);
    json_writer_optional_string(reply, "broken-reason", broken);
    json_writer_number(reply, "held-ms", in_ms(freeze_window_held_us(window)));
    json_writer_begin_array(reply, "filesystems");
    for (unsigned i = 0; window->board && i < window->board->n_slots; i++)
        if (window->board->slots[i].frozen_at != 0)
            write_thawed_slot(reply, window, i);
    json_writer_end_array(reply);
    write_hooks(reply, window->thaw_hooks);
}

static void write_empty_thaw(JsonWriter *reply)
{
    json_writer_integer(reply, "count", 0);
    json_writer_boolean(reply, "intact", false);
    json_writer_string(reply, "broken-reason", "nothing was frozen");
    json_writer_number(reply, "held-ms", 0);
    json_writer_begin_array(reply, "filesystems");
    json_writer_end_array(reply);
    write_hooks(reply, NULL);
}

static void thaw_done(const FreezeWindow *window, const GError *error, void *user_data)
{
    CommandCall *call = user_data;
    JsonWriter *reply = command_call_reply(call);

    if (!error) {
        json_writer_begin_object(reply, "return");
        if (window)
            write_thaw(reply, window);
        else
            write_empty_thaw(reply);
        json_writer_end_object(reply);
    }
    command_call_finish(call, error ? g_error_copy(error) : NULL);
}

static void start_thaw(Agent *agent, const void *arguments, CommandCall *call)
{
    freeze_engine_thaw(agent->freeze_engine, "quiesce-thaw", thaw_done, call);
}

/* ---- quiesce-status ---- */

static void write_status_slot(JsonWriter *reply, const FreezeWindow *window, const FreezeSlot *slot)
{
    json_writer_begin_object(reply, NULL);
    write_identity(reply, slot);
    json_writer_string(reply, "outcome", freeze_outcome_name(outcome_of(slot)));
    write_moment(reply, "frozen-at-us", window, slot->frozen_at);
    json_writer_end_object(reply);
}

/* While frozen since the freeze was complete, before since it began, after since the thaw. */
static int64_t state_since(const FreezeWindow *window, FreezeState state)
{
    const FreezeBoard *board = window->board;

    if (!board || state == FREEZE_STATE_FREEZING)
        return window->began_at;
    if (state == FREEZE_STATE_FROZEN)
        return board->frozen_at;
    return state == FREEZE_STATE_THAWED ? board->thawed_at : board->thawing_at;
}

static bool run_status(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    FreezeState state = freeze_engine_state(agent->freeze_engine);
    const FreezeWindow *window = freeze_engine_window(agent->freeze_engine);

    json_writer_begin_object(reply, "return");
    json_writer_string(reply, "state", freeze_state_name(state));
    if (window)
        write_moment(reply, "since-at-us", window, state_since(window, state));
    write_duration(reply, "hold-left-ms", freeze_engine_hold_left_us(agent->freeze_engine));
    json_writer_begin_array(reply, "filesystems");
    for (unsigned i = 0; window && window->board && i < window->board->n_slots; i++) {
        const FreezeSlot *slot = &window->board->slots[i];
        if (state != FREEZE_STATE_THAWED || freeze_outcome_needs_thaw(outcome_of(slot)))
            write_status_slot(reply, window, slot);
    }
    json_writer_end_array(reply);
    json_writer_end_object(reply);
    return true;
}

const Command quiesce_commands[] = {
    {"quiesce-freeze", freeze_arguments, sizeof(FreezeArguments), NULL, start_freeze,
     COMMAND_NOTED},
    {"quiesce-thaw", NULL, 0, NULL, start_thaw, COMMAND_WHILE_FROZEN | COMMAND_NOTED},
    {"quiesce-status", NULL, 0, run_status, NULL, COMMAND_WHILE_FROZEN},
    {NULL},
};
