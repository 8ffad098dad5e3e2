/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A client of QEMU's monitor protocol: greeting, capabilities, one command at a time, events
 * skipped, each call with a deadline. Source: QEMU, docs/interop/qmp-spec.
 * All errors are PROBE_ERROR_QMP; after one of the connection (not of QEMU's answer, nor an
 * interrupt) every further call fails.
 */
typedef struct Qmp Qmp;

/* interrupt_fd, not owned: calls end once it is readable; -1 for none. */
Qmp *qmp_open(const char *socket_path, int64_t timeout_ms, int interrupt_fd, GError **error);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

void qmp_set_interrupt_fd(Qmp *qmp, int interrupt_fd);

/* Returns the value of "return", owned by the caller; arguments may be NULL and are not taken. */
json_object *qmp_call(Qmp *qmp, const char *command, json_object *arguments, int64_t timeout_ms,
                      GError **error);

/* Gives QEMU a descriptor of ours, which stays ours, too, under a name that QEMU's socket addresses
 * of type "fd" understand ("getfd"). */
bool qmp_pass_fd(Qmp *qmp, const char *name, int fd, int64_t timeout_ms, GError **error);
