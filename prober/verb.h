/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/interrupt.h"
#include "prober/options.h"

#include <glib.h>

/* What the program can do, one row each. */

#define VERB_EXIT_OK 0
#define VERB_EXIT_ERROR 3 /* usage, connection, anything that kept the verb from its work */

typedef struct {
    const char *name;
    const char *summary;
    OptionsWanted options;
    int (*run)(const Options *options, Interrupt *interrupt); /* returns the exit status */
} Verb;

int verb_ping(const Options *options, Interrupt *interrupt);
int verb_info(const Options *options, Interrupt *interrupt);
int verb_status(const Options *options, Interrupt *interrupt);
int verb_freeze(const Options *options, Interrupt *interrupt);
int verb_thaw(const Options *options, Interrupt *interrupt);
int verb_history(const Options *options, Interrupt *interrupt);
int verb_log(const Options *options, Interrupt *interrupt);
int verb_inspect(const Options *options, Interrupt *interrupt);
int verb_verify(const Options *options, Interrupt *interrupt);
int verb_report(const Options *options, Interrupt *interrupt);
int verb_watch(const Options *options, Interrupt *interrupt);
int verb_snapshot(const Options *options, Interrupt *interrupt);

/* Tells why a verb failed, on standard error and with --json on standard output, too. Returns
 * VERB_EXIT_ERROR. */
int verb_fail(const char *verb, const Options *options, const GError *error);
/* The text on standard error alone, escaped. */
void verb_complain(const char *text);
/* The same of what the report says, too: silent where the report is enough. */
void verb_complain_reported(const Options *options, const char *text);
