/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "build-config.h"
#include "prober/fleet.h"
#include "prober/interrupt.h"
#include "prober/options.h"
#include "prober/verb.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const Verb verbs[] = {
    {"ping", "measure the round trip to the agent", OPTIONS_COUNT | OPTIONS_MANY, verb_ping},
    {"info", "what the agent is and what it offers", OPTIONS_MANY, verb_info},
    {"status", "whether the guest is frozen", OPTIONS_MANY, verb_status},
    {"freeze", "freeze the guest's filesystems and leave them frozen",
     OPTIONS_MOUNT_POINTS | OPTIONS_MANY, verb_freeze},
    {"thaw", "thaw the guest's filesystems", OPTIONS_MANY, verb_thaw},
    {"history", "the last freezes: who, when, intact or broken", OPTIONS_WINDOWS, verb_history},
    {"log", "the last lines of quiesced's log", OPTIONS_LINES, verb_log},
    {"verify", "freeze, find out whether that is true, thaw",
     OPTIONS_QMP | OPTIONS_MOUNT_POINTS | OPTIONS_HOLD | OPTIONS_CANARY | OPTIONS_OUTPUTS |
         OPTIONS_REPEAT | OPTIONS_MANY | OPTIONS_DISK,
     verb_verify},
    {"report", "the same, written to a page for people",
     OPTIONS_QMP | OPTIONS_MOUNT_POINTS | OPTIONS_HOLD | OPTIONS_CANARY | OPTIONS_PAGE |
         OPTIONS_DISK,
     verb_report},
    {"watch", "find out whether somebody else freezes, perhaps a command",
     OPTIONS_QMP | OPTIONS_WATCH | OPTIONS_OUTPUTS, verb_watch},
    {"snapshot", "freeze, take a snapshot of all disks, thaw, judge it",
     OPTIONS_QMP | OPTIONS_TO | OPTIONS_CANARY | OPTIONS_OUTPUTS, verb_snapshot},
    {"inspect", "whether the filesystems in disk images were frozen", OPTIONS_IMAGES, verb_inspect},
};

static void print_usage(FILE *stream)
{
    fprintf(stream,
            "Usage: quiesce-probe VERB --socket PATH|--vsock CID|--domain NAME [OPTION...]\n\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++)
        fprintf(stream, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
    fprintf(stream,
            "\n'quiesce-probe VERB --help' lists the verb's options.\n"
            "Exit status: of verify, report, watch, snapshot and inspect 0 FROZEN, 1 NOT FROZEN,\n"
            "2 UNPROVEN; of the others 0; of all 3 on errors.\n");
}

static const Verb *find_verb(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

static int run_verb(const Verb *verb, const char *const *arguments)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Options) options =
        options_parse(verb->name, verb->summary, verb->options, arguments, &error);
    g_autoptr(Interrupt) interrupt = options ? interrupt_new(&error) : NULL;

    if (!interrupt) {
        verb_complain(error->message);
        return VERB_EXIT_ERROR;
    }
    int status =
        options->many ? fleet_run(verb, options, interrupt) : verb->run(options, interrupt);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    verb_complain("cannot write to standard output");
    return status == VERB_EXIT_OK ? VERB_EXIT_ERROR : status;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const Verb *verb = find_verb(name);

    /* A reader of our output that goes away must not end us between freeze and thaw. */
    signal(SIGPIPE, SIG_IGN);
    if (verb)
        return run_verb(verb, (const char *const *)argv + 2);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_usage(stdout);
        return VERB_EXIT_OK;
    }
    if (strcmp(name, "--version") == 0) {
        printf("quiesce-probe %s\n", QUIESCED_VERSION);
        return VERB_EXIT_OK;
    }
    if (*name != '\0') {
        g_autofree char *text = g_strdup_printf("there is no verb '%s'", name);
        verb_complain(text);
    }
    print_usage(stderr);
    return VERB_EXIT_ERROR;
}
