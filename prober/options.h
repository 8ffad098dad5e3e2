/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/target.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The options of all verbs; each verb accepts those named in its options_wanted. */
typedef struct {
    GPtrArray *targets;  /* of Target; none with OPTIONS_IMAGES, else at least one */
    Target *target;      /* the one of them to work on; after parsing the first; NULL without */
    unsigned parallel;   /* how many of them at a time */
    bool many;           /* they are worked on side by side, even if there is only one */
    bool reported;       /* what goes wrong is told by whoever reads the report, not by the verb */
    bool deaf;           /* thaw: goes on in spite of signals */
    int64_t timeout_ms;  /* one ordinary call */
    int64_t freeze_ms;   /* a freeze, which takes as long as the guest needs */
    int64_t thaw_ms;     /* a thaw */
    int64_t hold_us;     /* verify: how long to hold the guest */
    unsigned count;      /* how many: ping: samples; history: windows; log: lines; 0: not said */
    char **mount_points; /* NULL: everything */
    int64_t interval_us; /* watch: between two samples of the counters */
    int64_t duration_us; /* watch: for how long; 0: until a signal */
    char **command;      /* watch: what to run meanwhile; NULL: nothing */
    char *to_folder;     /* snapshot: where the new images go */
    char *html_path;     /* the page to write; NULL: none */
    char *prometheus_path; /* the metrics to write; NULL: none */
    bool nagios;           /* one line instead of tables, and the exit statuses of a plugin */
    unsigned repeat;       /* verify: how often, 1 or more */
    int64_t pause_us;      /* verify: between two of them */
    char **images;         /* inspect: at least one address; else NULL */
    char *format;          /* NULL: found out */
    char *snapshot;        /* NULL: the image as it is */
    bool no_canary;
    bool no_disk;
    bool json;
} Options;

#define OPTIONS_MAX_COUNT 100000
/* Three descriptors each: stays below 1024 of them, the usual limit. */
#define OPTIONS_MAX_PARALLEL 256
#define OPTIONS_MAX_REPEAT 1000

typedef enum {
    OPTIONS_QMP = 1 << 0,
    OPTIONS_MOUNT_POINTS = 1 << 1,
    OPTIONS_HOLD = 1 << 2,
    OPTIONS_CANARY = 1 << 3,
    OPTIONS_COUNT = 1 << 4, /* these three set count */
    OPTIONS_WINDOWS = 1 << 5,
    OPTIONS_LINES = 1 << 6,
    OPTIONS_MANY = 1 << 12,   /* several guests in one call */
    OPTIONS_WATCH = 1 << 7,   /* --interval, --duration, and a command after "--" */
    OPTIONS_TO = 1 << 8,      /* --to, which is required */
    OPTIONS_OUTPUTS = 1 << 9, /* --html, --prometheus, --nagios */
    OPTIONS_REPEAT = 1 << 10, /* --repeat, --pause */
    OPTIONS_PAGE = 1 << 11,   /* html_path is the verb's argument, which is required */
    OPTIONS_IMAGES = 1 << 13,
    OPTIONS_DISK = 1 << 14,
} OptionsWanted;

/* arguments: what follows the verb, NULL-terminated. Errors are PROBE_ERROR_USAGE. --help prints
 * the verb's help and exits with status 0. */
Options *options_parse(const char *verb, const char *summary, OptionsWanted wanted,
                       const char *const *arguments, GError **error);
void options_free(Options *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, options_free)
