/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/guest-window.h"
#include "prober/verify.h"

#include <stdbool.h>

/* The output for people, on standard output: short tables, the verdict last. */

/* What a freeze did: its filesystems, what was left out, the hooks. */
void render_table_freeze(const GuestWindow *window, bool colour);
/* What a thaw did. */
void render_table_thaw(const GuestWindow *window, bool colour);

void render_table_verify(const VerifyReport *report, const char *guest_name, bool colour);
