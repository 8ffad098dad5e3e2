/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * One line that tells a person what is going on, on standard error, written over again and again
 * and gone at the end. Where standard error is no terminal, nothing is ever written.
 */
typedef struct Progress Progress;

Progress *progress_new(void);
/* Clears the line. */
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)

/* Shows this text in place of the last; escaped and cut to the terminal's width. NULL progress: no
 * effect. Costs little when called often: with the same format (a static string) the line
 * changes ten times a second at most. */
void progress_show(Progress *progress, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Takes the line away, so that something else can be printed. */
void progress_clear(Progress *progress);
