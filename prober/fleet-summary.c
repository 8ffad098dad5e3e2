/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/fleet-summary.h"
#include "prober/json-field.h"
#include "prober/verb.h"
#include "prober/verdict.h"

#include <inttypes.h>
#include <string.h>

#define MAX_PIECES 16

/* ---- the columns of each verb ---- */

static char *duration(json_object *object, const char *name)
{
    double value_ms;

    if (!json_field_number(object, name, &value_ms) || value_ms < 0)
        return NULL;
    return value_ms < 1000 ? g_strdup_printf("%.1f ms", value_ms)
                           : g_strdup_printf("%.2f s", value_ms / 1000);
}

static char *number(json_object *object, const char *name)
{
    int64_t value;

    return json_field_integer(object, name, &value) ? g_strdup_printf("%" PRId64, value) : NULL;
}

static char *agent(json_object *report)
{
    json_object *object = json_field_object(report, "agent");
    const char *version = json_field_string(object, "version");
    bool is_quiesced = false;

    json_field_boolean(object, "quiesced", &is_quiesced);
    return version ? g_strdup_printf("%s %s", is_quiesced ? "quiesced" : "agent", version) : NULL;
}

static void fill_ping(FleetRow *row, json_object *report)
{
    json_object *round_trip = json_field_object(report, "round-trip");

    row->cells[0] = agent(report);
    row->cells[1] = duration(round_trip, "median-ms");
    row->cells[2] = duration(round_trip, "maximum-ms");
}

static void fill_info(FleetRow *row, json_object *report)
{
    json_object *filesystems = json_field_array(report, "filesystems");

    row->cells[0] = agent(report);
    row->cells[1] = g_strdup(json_field_string(report, "host-name"));
    row->cells[2] = g_strdup(json_field_string(report, "operating-system"));
    if (filesystems)
        row->cells[3] = g_strdup_printf("%zu", json_object_array_length(filesystems));
}

static void fill_status(FleetRow *row, json_object *report)
{
    static const char *const states[] = {"thawed", "frozen", "freezing", "thawing", NULL};
    const char *state = json_field_string(report, "state");

    row->cells[0] = duration(report, "hold-left-ms");
    g_free(row->outcome);
    row->outcome = g_strdup(state && g_strv_contains(states, state) ? state : "unknown");
}

static void fill_freeze(FleetRow *row, json_object *report)
{
    json_object *window = json_field_object(report, "window");

    row->cells[0] = number(window, "frozen-count");
    row->cells[1] = duration(window, "freeze-ms");
    row->cells[2] = duration(window, "hold-timeout-ms");
}

static void fill_thaw(FleetRow *row, json_object *report)
{
    json_object *window = json_field_object(report, "window");
    const char *reason = json_field_string(window, "broken-reason");
    const char *answer = json_field_string(window, "thaw-error");

    row->cells[0] = number(window, "thawed-count");
    row->cells[1] = duration(window, "thaw-ms");
    row->because = g_strdup(reason ? reason : answer);
}

/* The first piece that takes this stance; NULL: none does. */
static json_object *find_piece(json_object *report, const char *stance)
{
    json_object *pieces = json_field_array(report, "evidence");

    for (size_t i = 0; i < json_field_length(pieces, MAX_PIECES); i++) {
        json_object *piece = json_object_array_get_idx(pieces, i);
        if (g_strcmp0(json_field_string(piece, "stance"), stance) == 0)
            return piece;
    }
    return NULL;
}

/* Whom a FROZEN rests on: "claim, counters, canary". */
static char *witnesses(json_object *report)
{
    json_object *pieces = json_field_array(report, "evidence");
    g_autoptr(GString) names = g_string_new(NULL);

    for (size_t i = 0; i < json_field_length(pieces, MAX_PIECES); i++) {
        json_object *piece = json_object_array_get_idx(pieces, i);
        const char *source = json_field_string(piece, "source");
        if (source && g_strcmp0(json_field_string(piece, "stance"), "for") == 0)
            g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", source);
    }
    return g_string_free(g_steal_pointer(&names), FALSE);
}

static char *reason_for_verdict(FleetStanding standing, json_object *report)
{
    if (standing == FLEET_GOOD)
        return witnesses(report);
    json_object *piece = find_piece(report, standing == FLEET_BAD ? "against" : "silent");
    const char *source = json_field_string(piece, "source");
    return source ? g_strdup_printf("%s: %s", source, json_field_string(piece, "summary")) : NULL;
}

static void fill_verify(FleetRow *row, json_object *report)
{
    json_object *window = json_field_object(report, "window");
    const char *verdict = json_field_string(report, "verdict");

    row->cells[0] = number(window, "frozen-count");
    row->cells[1] = duration(window, "freeze-ms");
    row->cells[2] = duration(window, "hold-ms");
    row->cells[3] = g_strdup(json_field_string(report, "consistency"));
    if (verdict && row->standing != FLEET_FAILED && row->standing != FLEET_UNTHAWED) {
        g_free(row->outcome);
        row->outcome = g_strdup(verdict);
        row->because = reason_for_verdict(row->standing, report);
    }
}

static const struct {
    const char *verb;
    const char *done; /* the outcome where all went well */
    const char *headings[FLEET_MAX_CELLS];
    void (*fill)(FleetRow *row, json_object *report);
} shapes[] = {
    {"ping", "answers", {"agent", ">median", ">maximum"}, fill_ping},
    {"info", "answers", {"agent", "host name", "system", ">filesystems"}, fill_info},
    {"status", "answers", {">thaws in"}, fill_status},
    {"freeze", "frozen", {">filesystems", ">took", ">thaws after"}, fill_freeze},
    {"thaw", "thawed", {">filesystems", ">took"}, fill_thaw},
    {"verify", "done", {">filesystems", ">froze in", ">held", "level"}, fill_verify},
};

static unsigned shape_of(const char *verb)
{
    unsigned shape = 0;

    while (strcmp(shapes[shape].verb, verb) != 0)
        g_assert(++shape < G_N_ELEMENTS(shapes));
    return shape;
}

/* ---- rows ---- */

static FleetStanding standing_of(int status, json_object *report)
{
    static const FleetStanding standings[] = {FLEET_GOOD, FLEET_BAD, FLEET_UNPROVEN, FLEET_FAILED};
    bool unthawed = false;

    json_field_boolean(report, "guest-may-be-frozen", &unthawed);
    if (unthawed)
        return FLEET_UNTHAWED;
    return status >= 0 && (unsigned)status < G_N_ELEMENTS(standings) ? standings[status]
                                                                     : FLEET_FAILED;
}

FleetRow *fleet_row_new(const char *verb, const char *guest, int status, json_object *report)
{
    unsigned shape = shape_of(verb);
    FleetRow *row = g_new0(FleetRow, 1);
    const char *problem = json_field_string(report, "error");

    row->guest = g_strdup(guest);
    row->standing = standing_of(status, report);
    row->outcome = g_strdup(row->standing == FLEET_UNTHAWED ? "MAY BE FROZEN"
                            : row->standing == FLEET_FAILED ? "error"
                                                            : shapes[shape].done);
    if (row->standing == FLEET_GOOD || strcmp(verb, "verify") == 0)
        shapes[shape].fill(row, report);
    if (problem) {
        g_free(row->because);
        row->because = g_strdup(problem);
    }
    return row;
}

void fleet_row_free(FleetRow *row)
{
    g_free(row->guest);
    g_free(row->outcome);
    for (unsigned i = 0; i < FLEET_MAX_CELLS; i++)
        g_free(row->cells[i]);
    g_free(row->because);
    g_free(row);
}

void fleet_row_take_back(FleetRow *row, bool thawed, char *because)
{
    row->standing = thawed ? FLEET_FAILED : FLEET_UNTHAWED;
    g_free(row->outcome);
    row->outcome = g_strdup(thawed ? "thawed again" : "MAY BE FROZEN");
    g_free(row->because);
    row->because = because;
}

char **fleet_row_headings(const char *verb)
{
    unsigned shape = shape_of(verb);
    g_autoptr(GStrvBuilder) headings = g_strv_builder_new();

    g_strv_builder_add_many(headings, "guest", "outcome", NULL);
    for (unsigned i = 0; i < FLEET_MAX_CELLS; i++)
        g_strv_builder_add(headings, shapes[shape].headings[i] ? shapes[shape].headings[i] : "");
    g_strv_builder_add(headings, "because");
    return g_strv_builder_end(headings);
}

TerminalTone fleet_row_tone(const FleetRow *row)
{
    static const TerminalTone tones[FLEET_STANDINGS] = {
        [FLEET_GOOD] = TERMINAL_GOOD,    [FLEET_UNPROVEN] = TERMINAL_DOUBT,
        [FLEET_FAILED] = TERMINAL_BAD,   [FLEET_BAD] = TERMINAL_BAD,
        [FLEET_UNTHAWED] = TERMINAL_BAD,
    };

    return tones[row->standing];
}

/* ---- all of them ---- */

static gint compare_counts(gconstpointer a, gconstpointer b)
{
    const FleetCount *left = a;
    const FleetCount *right = b;

    if (left->standing != right->standing)
        return left->standing > right->standing ? -1 : 1;
    return strcmp(left->outcome, right->outcome);
}

GArray *fleet_count(const GPtrArray *rows)
{
    GArray *counts = g_array_new(FALSE, FALSE, sizeof(FleetCount));

    for (unsigned i = 0; i < rows->len; i++) {
        const FleetRow *row = g_ptr_array_index(rows, i);
        unsigned k = 0;
        while (k < counts->len &&
               strcmp(g_array_index(counts, FleetCount, k).outcome, row->outcome) != 0)
            k++;
        if (k == counts->len) {
            FleetCount count = {.outcome = row->outcome, .standing = row->standing};
            g_array_append_val(counts, count);
        }
        g_array_index(counts, FleetCount, k).guests++;
    }
    g_array_sort(counts, compare_counts);
    return counts;
}

char *fleet_count_text(const GPtrArray *rows)
{
    g_autoptr(GArray) counts = fleet_count(rows);
    GString *text = g_string_new(NULL);

    g_string_printf(text, "%u %s:", rows->len, rows->len == 1 ? "guest" : "guests");
    for (unsigned i = 0; i < counts->len; i++) {
        const FleetCount *count = &g_array_index(counts, FleetCount, i);
        g_string_append_printf(text, "%s %u %s", i > 0 ? "," : "", count->guests, count->outcome);
    }
    return g_string_free(text, FALSE);
}

int fleet_exit_status(const GPtrArray *rows)
{
    static const int statuses[FLEET_STANDINGS] = {
        [FLEET_GOOD] = VERB_EXIT_OK,        [FLEET_UNPROVEN] = 2,
        [FLEET_FAILED] = VERB_EXIT_ERROR,   [FLEET_BAD] = 1,
        [FLEET_UNTHAWED] = VERB_EXIT_ERROR,
    };
    FleetStanding worst = FLEET_GOOD;

    for (unsigned i = 0; i < rows->len; i++)
        worst = MAX(worst, ((const FleetRow *)g_ptr_array_index(rows, i))->standing);
    return statuses[worst];
}
