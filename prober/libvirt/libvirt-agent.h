/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"

#include <glib.h>
#include <stdint.h>

/* A link to the agent of a libvirt domain, whose socket libvirt holds. name and words as in
 * agent_link_new(), uri and domain as in libvirt_service_new(). */
AgentLink *libvirt_agent_new(const char *name, const char *words, const char *uri,
                             const char *domain, int64_t timeout_ms);
