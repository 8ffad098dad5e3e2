/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/config.h"

#include <glib.h>
#include <stdbool.h>

/* --show-plan: on standard output what a freeze of everything would freeze, wave by wave, and what
 * not and why. Touches no filesystem. */
bool show_plan(const Config *config, GError **error);
