/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"
#include "protocol/arguments.h"
#include "protocol/json-writer.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A command of the wire is one row of a table: name, arguments, how it runs. The tables of all
 * families feed the dispatcher, guest-info and --block-rpcs=help.
 */

/* One request that is being carried out. */
typedef struct CommandCall CommandCall;

typedef enum {
    COMMAND_WHILE_FROZEN = 1 << 0,     /* provably writes to no disk: stays available */
    COMMAND_NO_SUCCESS_REPLY = 1 << 1, /* the interface says success-response: false */
    COMMAND_SECRET_ARGUMENTS = 1 << 2, /* its arguments are never logged */
    COMMAND_DELIMITED_REPLY = 1 << 3,  /* a byte 0xFF goes before its reply */
    COMMAND_NOTED = 1 << 4,            /* its use is logged at level info: freeze, thaw */
} CommandFlags;

/* A command that is done when it returns: writes the value of "return" (name "return", exactly one
 * value; an empty object when the interface has no result) or sets *error and returns false. */
typedef bool (*CommandRun)(Agent *agent, const void *arguments, JsonWriter *reply, GError **error);

/* A command that takes its time: must return soon and call command_call_finish() later, or now.
 * arguments live until then. */
typedef void (*CommandStart)(Agent *agent, const void *arguments, CommandCall *call);

typedef struct {
    const char *name;
    const Argument *arguments; /* NULL: takes none */
    size_t arguments_size;     /* sizeof the struct that .arguments fills */
    CommandRun run;            /* either run ... */
    CommandStart start;        /* ... or start */
    CommandFlags flags;
} Command;

/* The writer for "return"; owned by the call. */
JsonWriter *command_call_reply(CommandCall *call);

/* Ends the call: with error NULL the reply is sent, else the error (taken over). The call is gone
 * after this. */
void command_call_finish(CommandCall *call, GError *error);

/* The families, each ended by a row with name NULL. */
extern const Command sync_commands[];     /* commands/sync.c: sync, sync-delimited, ping, info */
extern const Command time_commands[];     /* commands/time.c */
extern const Command os_commands[];       /* commands/os.c: osinfo, host-name, timezone */
extern const Command fsinfo_commands[];   /* commands/fsinfo.c */
extern const Command fsfreeze_commands[]; /* commands/fsfreeze.c: guest-fsfreeze-* */
extern const Command cpu_commands[];      /* commands/cpu.c: vcpus, cpustats, load, memory blocks */
extern const Command disk_commands[];     /* commands/disk.c: disks, diskstats */
extern const Command exec_commands[];     /* commands/exec.c: guest-exec, guest-exec-status */
extern const Command file_commands[];     /* commands/file.c: guest-file-* */
extern const Command network_commands[];  /* commands/network.c: interfaces, routes */
extern const Command fstrim_commands[];   /* commands/fstrim.c */
extern const Command power_commands[];    /* commands/power.c: shutdown, suspend-* */
extern const Command canary_commands[];   /* commands/quiesce-canary.c */
extern const Command ssh_commands[];      /* commands/ssh.c: authorized keys */
extern const Command user_commands[];     /* commands/user.c: users, passwords */
extern const Command quiesce_commands[];  /* commands/quiesce.c: quiesce-* */
