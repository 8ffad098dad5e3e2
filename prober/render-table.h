/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/guest-window.h"
#include "prober/terminal-text.h"
#include "prober/verify.h"

#include <stdbool.h>

/* The output for people, on standard output: short tables, the verdict last. */

/* What a freeze did: its filesystems, what was left out, the hooks. */
void render_table_freeze(const GuestWindow *window, bool colour);
/* What a thaw did. */
void render_table_thaw(const GuestWindow *window, bool colour);

/* Parts that several verbs print. */
void render_table_line(const char *label, TerminalTone tone, bool colour, char *text_taken);
void render_table_evidence(const GPtrArray *evidence, bool colour);
/* what: of which snapshot the consistency is told, "a snapshot in this window". */
void render_table_verdict(Verdict verdict, Consistency consistency, const char *what, bool colour);

void render_table_verify(const VerifyReport *report, const char *guest_name, bool colour);
