/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/terminal-text.h"

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/*
 * Many guests' reports as one: a row for each, how many ended how, and the exit status of them all.
 * Pure: data in, data out. The reports are the objects that --json prints.
 */

/* How a guest fared, the best first: the order in which one outweighs the other. */
typedef enum {
    FLEET_GOOD,      /* FROZEN, or what was asked for is done */
    FLEET_UNPROVEN,  /* nobody knows */
    FLEET_FAILED,    /* it could not be asked */
    FLEET_BAD,       /* NOT FROZEN: a snapshot of it is worthless */
    FLEET_UNTHAWED,  /* it may be frozen still: somebody has to act */
    FLEET_STANDINGS, /* how many there are */
} FleetStanding;

#define FLEET_MAX_CELLS 4

typedef struct {
    char *guest;
    FleetStanding standing;
    char *outcome; /* "FROZEN", "answers", "error", ...: one of a few, never a guest's own words */
    char *cells[FLEET_MAX_CELLS]; /* the verb's columns; NULL: nothing to say */
    char *because;                /* NULL: nothing to say */
} FleetRow;

/* The row for a guest on which the verb ended with this exit status. report may be NULL: it left
 * none. */
FleetRow *fleet_row_new(const char *verb, const char *guest, int status, json_object *report);
void fleet_row_free(FleetRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FleetRow, fleet_row_free)

/* Makes it the row of a guest whose freeze was taken back after an interrupt (because is taken
 * over); whether it is thawed now decides how it stands. */
void fleet_row_take_back(FleetRow *row, bool thawed, char *because);

/* Headings for text_table_new(), "guest" first and "because" last; free with g_strfreev(). */
char **fleet_row_headings(const char *verb);
TerminalTone fleet_row_tone(const FleetRow *row);

typedef struct {
    const char *outcome; /* borrowed from a row */
    FleetStanding standing;
    unsigned guests;
} FleetCount;

/* How many guests there are of each outcome, the worst first. Of FleetCount; unref it. */
GArray *fleet_count(const GPtrArray *rows);
/* "200 guests: 1 NOT FROZEN, 199 FROZEN" */
char *fleet_count_text(const GPtrArray *rows);

/* The exit status of the worst: 0 good, 2 unproven, 3 failed, 1 bad, 3 unthawed. */
int fleet_exit_status(const GPtrArray *rows);
