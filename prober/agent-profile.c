/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/agent-profile.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"

AgentProfile *agent_profile_new(json_object *reply)
{
    AgentProfile *profile = g_new0(AgentProfile, 1);
    const char *version = json_field_string(reply, "version");
    json_object *list = json_field_array(reply, "supported_commands");

    profile->version = g_strdup(version ? version : "unknown");
    profile->enabled = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    profile->disabled = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (size_t i = 0; i < json_field_length(list, AGENT_PROFILE_MAX_COMMANDS); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        const char *name = json_field_string(element, "name");
        bool enabled = false;
        json_field_boolean(element, "enabled", &enabled);
        if (name)
            g_hash_table_add(enabled ? profile->enabled : profile->disabled, g_strdup(name));
    }
    profile->is_quiesced = g_hash_table_contains(profile->enabled, "quiesce-thaw") ||
                           g_hash_table_contains(profile->disabled, "quiesce-thaw");
    return profile;
}

AgentProfile *agent_profile_read(AgentLink *link, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_object *reply = agent_link_call(link, "guest-info", NULL, &problem);

    if (problem) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    AgentProfile *profile = agent_profile_new(reply);
    json_object_put(reply);
    return profile;
}

void agent_profile_free(AgentProfile *profile)
{
    g_free(profile->version);
    g_hash_table_unref(profile->enabled);
    g_hash_table_unref(profile->disabled);
    g_free(profile);
}

bool agent_profile_offers(const AgentProfile *profile, const char *command)
{
    return g_hash_table_contains(profile->enabled, command);
}

bool agent_profile_require(const AgentProfile *profile, const char *command, GError **error)
{
    if (agent_profile_offers(profile, command))
        return true;
    if (g_hash_table_contains(profile->disabled, command))
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                    "the agent's configuration does not allow %s: see block-rpcs and allow-rpcs",
                    command);
    else if (profile->is_quiesced)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                    "quiesced %s in the guest is too old for this: it does not know %s",
                    profile->version, command);
    else
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST,
                    "only quiesced can answer this, and the agent in the guest (version %s) is "
                    "another one: it does not know %s",
                    profile->version, command);
    return false;
}

const char *agent_profile_kind(const AgentProfile *profile)
{
    return profile->is_quiesced ? "quiesced" : "guest agent";
}
