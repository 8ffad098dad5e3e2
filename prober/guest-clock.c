/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-clock.h"

#include <json-c/json.h>

#define TRIES 5

static bool read_once(AgentLink *link, GuestClock *clock)
{
    g_autoptr(GError) problem = NULL;
    int64_t asked_us = g_get_monotonic_time();
    json_object *reply = agent_link_call(link, "guest-get-time", NULL, &problem);
    int64_t answered_us = g_get_monotonic_time();
    bool understood = !problem && json_object_is_type(reply, json_type_int);

    if (understood) {
        clock->known = true;
        clock->slack_us = (answered_us - asked_us) / 2 + 1;
        clock->offset_us =
            json_object_get_int64(reply) / 1000 - (asked_us + (answered_us - asked_us) / 2);
    }
    json_object_put(reply);
    return understood;
}

GuestClock guest_clock_read(AgentLink *link, const AgentProfile *profile)
{
    GuestClock best = {.known = false};

    if (!agent_profile_offers(profile, "guest-get-time"))
        return best;
    for (unsigned i = 0; i < TRIES; i++) {
        GuestClock now = {.known = false};
        if (!read_once(link, &now))
            break;
        if (!best.known || now.slack_us < best.slack_us)
            best = now;
    }
    return best;
}

GuestClock guest_clock_between(const GuestClock *before, const GuestClock *after)
{
    if (!before->known || !after->known)
        return before->known ? *before : *after;

    int64_t apart_us = ABS(before->offset_us - after->offset_us);
    return (GuestClock){
        .known = true,
        .offset_us = before->offset_us + (after->offset_us - before->offset_us) / 2,
        .slack_us = MAX(before->slack_us, after->slack_us) + apart_us / 2 + 1,
    };
}
