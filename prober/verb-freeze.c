/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/guest-freeze.h"
#include "prober/probe-error.h"
#include "prober/render-json.h"
#include "prober/render-table.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"

#include <stdio.h>
#include <string.h>

static void print_json(const char *verb, const Options *options, const AgentProfile *profile,
                       const GuestWindow *window, const GError *error)
{
    JsonWriter *writer = render_json_begin(verb, options->target);

    json_writer_optional_string(writer, "error", error ? error->message : NULL);
    render_json_agent(writer, profile);
    render_json_window(writer, window);
    render_json_end(writer);
}

/* A guest of which nobody knows whether it is frozen is not left like that. An agent that refused
 * is left alone: it may be frozen on somebody else's behalf. */
static void undo(AgentLink *link, const AgentProfile *profile, const Options *options,
                 GuestWindow *window, const GError *error)
{
    g_autoptr(GError) problem = NULL;

    if (agent_link_is_answer(error))
        return;
    if (guest_freeze_thaw(link, profile, options->thaw_ms, window, &problem))
        verb_complain("the freeze had no clear end, so the guest was thawed");
    else
        verb_complain(problem->message);
}

/* An agent that froze nothing may all the same wait for a thaw: old ones do. */
static void undo_claim(AgentLink *link, const AgentProfile *profile, const Options *options)
{
    g_autofree char *state = guest_freeze_status(link, profile, NULL);
    g_autoptr(GuestWindow) window = guest_window_new();
    g_autoptr(GError) problem = NULL;

    if (g_strcmp0(state, "frozen") == 0 &&
        !guest_freeze_thaw(link, profile, options->thaw_ms, window, &problem))
        verb_complain(problem->message);
}

/* Said here, and not left to the agent: while frozen it offers no freeze, in either family. */
static bool is_thawed(AgentLink *link, const AgentProfile *profile, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *state = guest_freeze_status(link, profile, &problem);

    if (problem && !agent_link_is_answer(problem)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    /* An agent that does not tell is to answer the freeze itself. */
    if (!state || strcmp(state, "thawed") == 0)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                "the guest is %s already, by somebody else's doing; wait for its end, or run "
                "'quiesce-probe thaw'",
                state);
    return false;
}

static int report_nothing(AgentLink *link, const AgentProfile *profile, const Options *options,
                          GuestWindow *window)
{
    g_autoptr(GError) error =
        g_error_new(PROBE_ERROR, PROBE_ERROR_GUEST, "nothing was frozen: %s",
                    options->mount_points ? "the guest can freeze none of the filesystems named"
                                          : "the guest has no filesystem that it can freeze");

    undo_claim(link, profile, options);
    verb_complain_reported(options, error->message);
    if (options->json)
        print_json("freeze", options, profile, window, error);
    else
        render_table_freeze(window, terminal_text_wants_colour(stdout));
    return VERB_EXIT_ERROR;
}

int verb_freeze(const Options *options, Interrupt *interrupt)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_autoptr(GuestWindow) window = guest_window_new();
    g_autoptr(GError) error = NULL;
    FreezeRequest request = {.mount_points = (const char *const *)options->mount_points};

    agent_link_set_interrupt_fd(link, interrupt_fd(interrupt));
    g_autoptr(AgentProfile) profile = agent_profile_read(link, &error);
    if (!profile || !is_thawed(link, profile, &error))
        return verb_fail("freeze", options, error);
    if (!guest_freeze_freeze(link, profile, &request, options->freeze_ms, window, &error)) {
        undo(link, profile, options, window, error);
        return verb_fail("freeze", options, error);
    }
    if (window->frozen_count <= 0)
        return report_nothing(link, profile, options, window);
    if (options->json)
        print_json("freeze", options, profile, window, NULL);
    else
        render_table_freeze(window, terminal_text_wants_colour(stdout));
    return VERB_EXIT_OK;
}

int verb_thaw(const Options *options, Interrupt *interrupt)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_autoptr(GuestWindow) window = guest_window_new();
    g_autoptr(GError) error = NULL;

    agent_link_set_interrupt_fd(link, options->deaf ? -1 : interrupt_fd(interrupt));
    g_autoptr(AgentProfile) profile = agent_profile_read(link, &error);
    if (!profile || !guest_freeze_thaw(link, profile, options->thaw_ms, window, &error))
        return verb_fail("thaw", options, error);
    if (options->json)
        print_json("thaw", options, profile, window, NULL);
    else
        render_table_thaw(window, terminal_text_wants_colour(stdout));
    return VERB_EXIT_OK;
}
