/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-freeze.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"
#include "prober/terminal-text.h"
#include "protocol/client.h"

#include <stdio.h>

#define THAW_MIN_TRIES 2
#define THAW_PATIENCE 3 /* times the timeout */
#define THAW_FIRST_PAUSE_US (100 * 1000)
#define THAW_LONGEST_PAUSE_US (1600 * 1000)

static void add_mount_points(json_object *arguments, const char *const *mount_points)
{
    json_object *list = json_object_new_array();

    for (; *mount_points; mount_points++)
        json_object_array_add(list, json_object_new_string(*mount_points));
    json_object_object_add(arguments, "mountpoints", list);
}

static const char *choose_freeze(const AgentProfile *profile, const FreezeRequest *request,
                                 json_object *arguments)
{
    if (request->mount_points)
        add_mount_points(arguments, request->mount_points);
    if (!agent_profile_offers(profile, "quiesce-freeze"))
        return request->mount_points ? "guest-fsfreeze-freeze-list" : "guest-fsfreeze-freeze";
    if (request->canary)
        json_object_object_add(arguments, "canary", json_object_new_boolean(TRUE));
    if (request->hold_timeout_ms > 0)
        json_object_object_add(arguments, "hold-timeout-ms",
                               json_object_new_int64(request->hold_timeout_ms));
    return "quiesce-freeze";
}

bool guest_freeze_freeze(AgentLink *link, const AgentProfile *profile, const FreezeRequest *request,
                         int64_t timeout_ms, GuestWindow *window, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_object *arguments = json_object_new_object();
    const char *command = choose_freeze(profile, request, arguments);
    int64_t begin_us = g_get_monotonic_time();
    json_object *reply = agent_link_call_within(link, command, arguments, timeout_ms, &problem);

    int64_t end_us = g_get_monotonic_time();
    window->freeze_us = end_us - begin_us;
    json_object_put(arguments);
    bool understood = !problem && guest_window_take_freeze(window, reply);
    if (understood)
        window->frozen_at_us = end_us;
    json_object_put(reply);
    /* A command that is not there, or forbidden, says nothing about the guest. */
    if (g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_REPLY))
        window->freeze_error = g_strdup(problem->message);
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    else if (!understood)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                    "%s was answered with something that is no count of filesystems", command);
    return understood;
}

char *guest_freeze_status(AgentLink *link, const AgentProfile *profile, GError **error)
{
    g_autoptr(GError) problem = NULL;
    const char *command = agent_profile_offers(profile, "quiesce-status") ? "quiesce-status"
                                                                          : "guest-fsfreeze-status";
    json_object *reply = agent_link_call(link, command, NULL, &problem);
    const char *state = json_object_is_type(reply, json_type_string)
                            ? json_object_get_string(reply)
                            : json_field_string(reply, "state");
    char *copy = g_strdup(state);

    json_object_put(reply);
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    else if (!copy)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST, "%s was answered without a state",
                    command);
    return copy;
}

/* Whether the agent says in so many words that nothing is frozen; or that something is. */
static bool status_is(AgentLink *link, const AgentProfile *profile, const char *wanted)
{
    g_autofree char *state = guest_freeze_status(link, profile, NULL);

    return g_strcmp0(state, wanted) == 0;
}

/* One try. An answer with an error may still mean "thawed": quiesced tells that way that it had to
 * thaw by itself. Only the status can tell. */
static bool try_thaw(AgentLink *link, const AgentProfile *profile, const char **command,
                     int64_t timeout_ms, GuestWindow *window, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_object *reply = NULL;

    if (agent_link_sync(link, timeout_ms, &problem))
        reply = agent_link_call_within(link, *command, NULL, timeout_ms, &problem);
    bool understood = !problem && guest_window_take_thaw(window, reply);

    json_object_put(reply);
    if (understood && !status_is(link, profile, "frozen"))
        return true;
    if (agent_link_is_answer(problem) && status_is(link, profile, "thawed")) {
        window->thaw_error = g_strdup(problem->message);
        return true;
    }
    if (g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_COMMAND_NOT_FOUND))
        *command = "guest-fsfreeze-thaw";
    if (problem)
        g_propagate_error(error, g_steal_pointer(&problem));
    else
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST, "%s was answered, but %s", *command,
                    understood ? "the guest still calls itself frozen"
                               : "with something that is no count of filesystems");
    return false;
}

/* The same trouble is told once. */
static void tell_failed_try(const GError *problem, char **told)
{
    g_autofree char *text = terminal_text_escape(problem->message);

    if (g_strcmp0(text, *told) == 0)
        return;
    fprintf(stderr, "quiesce-probe: thaw failed, trying again: %s\n", text);
    g_free(*told);
    *told = g_steal_pointer(&text);
}

static char *thaw_remedy(const AgentLink *link, const GuestWindow *window)
{
    g_autofree char *patience =
        window->hold_timeout_ms > 0
            ? g_strdup_printf("; the agent said that it thaws by itself %" G_GINT64_FORMAT
                              " s after the freeze",
                              window->hold_timeout_ms / 1000)
            : g_strdup("");

    return g_strdup_printf("run 'quiesce-probe thaw %s', or 'fsfreeze --unfreeze "
                           "MOUNTPOINT' inside the guest%s",
                           agent_link_words(link), patience);
}

bool guest_freeze_thaw(AgentLink *link, const AgentProfile *profile, int64_t timeout_ms,
                       GuestWindow *window, GError **error)
{
    const char *command =
        agent_profile_offers(profile, "quiesce-thaw") ? "quiesce-thaw" : "guest-fsfreeze-thaw";
    int64_t begin_us = g_get_monotonic_time();
    int64_t give_up_us = begin_us + THAW_PATIENCE * timeout_ms * 1000;
    int64_t pause_us = THAW_FIRST_PAUSE_US;
    g_autofree char *told = NULL;

    agent_link_set_interrupt_fd(link, -1);
    for (unsigned tries = 1;; tries++) {
        g_autoptr(GError) problem = NULL;
        window->thaw_tries = tries;
        bool thawed = try_thaw(link, profile, &command, timeout_ms, window, &problem);
        window->thaw_us = g_get_monotonic_time() - begin_us;
        if (thawed)
            return true;
        if (tries >= THAW_MIN_TRIES && g_get_monotonic_time() >= give_up_us) {
            g_autofree char *remedy = thaw_remedy(link, window);
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                        "THE GUEST MAY STILL BE FROZEN, %u tries to thaw it failed (%s); %s", tries,
                        problem->message, remedy);
            return false;
        }
        if (!agent_link_is_answer(problem))
            agent_link_disconnect(link);
        tell_failed_try(problem, &told);
        g_usleep((gulong)pause_us);
        pause_us = MIN(pause_us * 2, THAW_LONGEST_PAUSE_US);
    }
}
