/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"

#include <glib.h>
#include <stdbool.h>

/* What an agent says of itself in guest-info. */
typedef struct {
    char *version;
    bool is_quiesced;     /* it knows the quiesce-* commands, even if some are disabled */
    GHashTable *enabled;  /* set of char *: commands that may be called */
    GHashTable *disabled; /* set of char *: commands it knows but refuses */
} AgentProfile;

#define AGENT_PROFILE_MAX_COMMANDS 1024

AgentProfile *agent_profile_read(AgentLink *link, GError **error);
/* The same from guest-info's "return". */
AgentProfile *agent_profile_new(json_object *reply);
void agent_profile_free(AgentProfile *profile);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AgentProfile, agent_profile_free)

/* Whether the command may be called now: most are disabled while the guest is frozen. */
bool agent_profile_offers(const AgentProfile *profile, const char *command);
/* The same, with an error (PROBE_ERROR_GUEST) that says why not. */
bool agent_profile_require(const AgentProfile *profile, const char *command, GError **error);
/* "quiesced" or "guest agent" */
const char *agent_profile_kind(const AgentProfile *profile);
