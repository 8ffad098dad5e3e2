/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the parts of the daemon share: no globals but the log. Built by main.c, which owns every
 * member; all of them live as long as the main loop. */

#include <glib.h>
#include <stdbool.h>

typedef struct CanaryRun CanaryRun;
typedef struct Config Config;
typedef struct Dispatch Dispatch;
typedef struct FileHandles FileHandles;
typedef struct FreezeEngine FreezeEngine;
typedef struct GuestProcesses GuestProcesses;

typedef struct Agent {
    GMainLoop *loop;
    const Config *config;
    Dispatch *dispatch;
    FreezeEngine *freeze_engine;
    CanaryRun *canary_run;
    FileHandles *file_handles;
    GuestProcesses *guest_processes;
    bool is_trimming; /* guest-fstrim is under way */
} Agent;
