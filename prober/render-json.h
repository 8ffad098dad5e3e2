/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-profile.h"
#include "prober/guest-window.h"
#include "prober/target.h"
#include "prober/verify.h"
#include "protocol/json-writer.h"

#include <glib.h>

/*
 * The output for programs: one object on standard output, with "schema", "verb" and "guest" first.
 * The schema's number changes when a member changes its meaning or goes; new members may come.
 */
#define RENDER_JSON_SCHEMA "quiesce-probe/1"

/* Begins the object; the caller adds the verb's members. target is NULL where no guest was asked.
 */
JsonWriter *render_json_begin(const char *verb, const Target *target);
/* Ends the object, prints it, frees the writer. */
void render_json_end(JsonWriter *writer);

void render_json_agent(JsonWriter *writer, const AgentProfile *profile);
void render_json_window(JsonWriter *writer, const GuestWindow *window);
/* The members "evidence" and "devices", which several verbs have. */
void render_json_evidence(JsonWriter *writer, const GPtrArray *evidence);
void render_json_devices(JsonWriter *writer, const CounterWatch *watch);
/* The verdict and what goes with it alone. */
void render_json_verdict(JsonWriter *writer, const VerifyReport *report);
void render_json_verify(JsonWriter *writer, const VerifyReport *report);
