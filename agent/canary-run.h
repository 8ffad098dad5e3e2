/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/freeze-plan.h"
#include "protocol/json-writer.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Canaries (agent/canary.h) that a host starts and stops itself, around a freeze by whomever. There
 * is one run at a time, and it ends by itself at its limit: a host that is lost leaves nobody
 * writing for ever. What was written can be read until the next run.
 */
#define CANARY_RUN_PRESET_LIMIT_MS (60LL * 1000)
#define CANARY_RUN_MAX_LIMIT_MS (3600LL * 1000)

typedef struct CanaryRun CanaryRun;

CanaryRun *canary_run_new(void);
/* Ends the run, too. */
void canary_run_free(CanaryRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CanaryRun, canary_run_free)

bool canary_run_is_running(const CanaryRun *run);

/* Starts a writer on each of the plan's filesystems; the plan is taken over, always. limit_ms: 1 to
 * CANARY_RUN_MAX_LIMIT_MS. A run under way, or a plan without filesystems, is an error. */
bool canary_run_start(CanaryRun *run, FreezePlan *plan, int64_t limit_ms, GError **error);

/* Ends the run; nothing when there is none. */
void canary_run_stop(CanaryRun *run);

/* Writes one object called name: docs/extension-protocol.md, quiesce-canary. Waits for nothing. */
void canary_run_write(const CanaryRun *run, JsonWriter *writer, const char *name);
