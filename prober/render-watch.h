/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/target.h"
#include "prober/watch.h"

#include <stdbool.h>

/* What a watch saw, on standard output: for people and for programs. arguments: of the command that
 * ran meanwhile, or NULL. */
void render_watch_table(const WatchReport *report, const char *guest_name,
                        const char *const *arguments, bool colour);
void render_watch_json(const WatchReport *report, const Target *target,
                       const char *const *arguments);
