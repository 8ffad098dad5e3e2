/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Programs that hosts run in the guest and ask about later. They have no deadline; their input is
 * fed and their output kept, both from the main loop, so that a program that does not read or never
 * ends holds up nobody. What is not asked for is forgotten, the oldest first.
 */
#define GUEST_PROCESSES_MAX_RUNNING 128
#define GUEST_PROCESSES_MAX_ENDED 128
/* Per stream, as qemu-ga; what comes beyond is read and thrown away. */
#define GUEST_PROCESS_OUTPUT_BYTES (16 * 1024 * 1024)
/* What a program leaves behind in the background may hold its output open for ever. */
#define GUEST_PROCESS_LINGER_MS (10 * 1000)

typedef enum {
    GUEST_PROCESS_KEEP_OUTPUT = 1 << 0,
    GUEST_PROCESS_KEEP_ERROR = 1 << 1,
    GUEST_PROCESS_MERGE = 1 << 2, /* standard error goes where standard output goes */
} GuestProcessOutput;

typedef struct {
    const char *const *argv;
    const char *const *environment; /* NULL: the agent's own, without what is meant for the agent */
    uint8_t *input;                 /* taken over; NULL: /dev/null */
    size_t input_bytes;
    GuestProcessOutput output;
} GuestProcessOptions;

typedef struct {
    bool ended;
    int wait_status; /* wait(2); when ended */
    const uint8_t *output;
    size_t output_bytes;
    bool output_truncated;
    const uint8_t *error;
    size_t error_bytes;
    bool error_truncated;
} GuestProcessState;

typedef struct GuestProcesses GuestProcesses;

GuestProcesses *guest_processes_new(void);
/* Lets go of them: those that run, run on. */
void guest_processes_free(GuestProcesses *processes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestProcesses, guest_processes_free)

/* The program runs (pid above 0), or could not be run. */
typedef void (*GuestProcessStarted)(pid_t pid, const GError *error, void *user_data);

/* started is called once, from the main loop, unless this fails, or the processes are freed. */
bool guest_processes_start(GuestProcesses *processes, const GuestProcessOptions *options,
                           GuestProcessStarted started, void *user_data, GError **error);

/* False with an error when there is none of that pid (any more). The state is valid until the next
 * call or iteration of the main loop. */
bool guest_processes_look(GuestProcesses *processes, int64_t pid, GuestProcessState *state,
                          GError **error);
/* Forgets one that has ended. */
void guest_processes_forget(GuestProcesses *processes, int64_t pid);
