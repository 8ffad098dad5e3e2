/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"

#include <glib.h>
#include <stdint.h>

/*
 * Links to an agent at the other end of a byte stream. Nothing is connected yet; a connection
 * begins with a sync, and is dropped when it closes. name and words as in agent_link_new().
 */
AgentLink *agent_stream_new_unix(const char *name, const char *words, const char *socket_path,
                                 int64_t timeout_ms);
AgentLink *agent_stream_new_vsock(const char *name, const char *words, uint32_t cid, uint32_t port,
                                  int64_t timeout_ms);
