/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Programs run inside the guest through guest-exec, with their output. */
typedef struct {
    bool exited;
    int64_t exit_code; /* -1 when a signal ended it */
    char *output;      /* decoded, never NULL once exited; may hold anything */
    char *errors;
} GuestExecResult;

void guest_exec_result_clear(GuestExecResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(GuestExecResult, guest_exec_result_clear)

/* command: path, then arguments, ended by NULL. */
bool guest_exec_start(AgentLink *link, const char *const *command, int64_t *pid, GError **error);

/* Asks once. The output comes only when the program has exited. */
bool guest_exec_poll(AgentLink *link, int64_t pid, GuestExecResult *result, GError **error);

/* Asks until the program has exited; an error when that takes longer than timeout_ms. */
bool guest_exec_wait(AgentLink *link, int64_t pid, int64_t timeout_ms, GuestExecResult *result,
                     GError **error);

/* Starts and waits. */
bool guest_exec_run(AgentLink *link, const char *const *command, int64_t timeout_ms,
                    GuestExecResult *result, GError **error);
