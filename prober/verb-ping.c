/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-link.h"
#include "prober/agent-profile.h"
#include "prober/render-json.h"
#include "prober/terminal-text.h"
#include "prober/verb.h"

#include <stdio.h>

#define DEFAULT_SAMPLES 10

static int compare_times(gconstpointer a, gconstpointer b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

/* Round trips in microseconds, sorted; NULL with an error. */
static GArray *measure(AgentLink *link, unsigned count, GError **error)
{
    g_autoptr(GArray) times = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (unsigned i = 0; i < count; i++) {
        g_autoptr(GError) problem = NULL;
        int64_t begin_us = g_get_monotonic_time();
        json_object_put(agent_link_call(link, "guest-ping", NULL, &problem));
        int64_t took_us = g_get_monotonic_time() - begin_us;
        if (problem) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        g_array_append_val(times, took_us);
    }
    g_array_sort(times, compare_times);
    return g_steal_pointer(&times);
}

static double quantile_ms(const GArray *times, double quantile)
{
    unsigned index = (unsigned)(quantile * (times->len - 1));

    return (double)g_array_index(times, int64_t, index) / 1000;
}

static void print_json(const Options *options, const AgentProfile *profile, const GArray *times)
{
    JsonWriter *writer = render_json_begin("ping", options->target);

    render_json_agent(writer, profile);
    json_writer_begin_object(writer, "round-trip");
    json_writer_unsigned(writer, "samples", times->len);
    json_writer_number(writer, "minimum-ms", quantile_ms(times, 0));
    json_writer_number(writer, "median-ms", quantile_ms(times, 0.5));
    json_writer_number(writer, "maximum-ms", quantile_ms(times, 1));
    json_writer_end_object(writer);
    render_json_end(writer);
}

static void print_table(const AgentProfile *profile, const GArray *times)
{
    g_autofree char *version = terminal_text_escape(profile->version);

    printf("agent       %s %s\n", agent_profile_kind(profile), version);
    printf("round trip  %.3f ms median, %.3f ms minimum, %.3f ms maximum\n",
           quantile_ms(times, 0.5), quantile_ms(times, 0), quantile_ms(times, 1));
    printf("samples     %u\n", times->len);
}

int verb_ping(const Options *options, Interrupt *interrupt)
{
    g_autoptr(AgentLink) link = target_agent(options->target, options->timeout_ms);
    g_autoptr(GError) error = NULL;
    unsigned count = options->count > 0 ? options->count : DEFAULT_SAMPLES;

    agent_link_set_interrupt_fd(link, interrupt_fd(interrupt));
    g_autoptr(AgentProfile) profile = agent_profile_read(link, &error);
    g_autoptr(GArray) times = profile ? measure(link, count, &error) : NULL;
    if (!times)
        return verb_fail("ping", options, error);
    if (options->json)
        print_json(options, profile, times);
    else
        print_table(profile, times);
    return VERB_EXIT_OK;
}
