/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Writers inside a guest whose agent is not quiesced: one shell loop per filesystem, started
 * through guest-exec, that writes and fsyncs a block about ten times a second to a file that has no
 * name any more, and prints when. It needs sh, dd and sleep (busybox will do), ends by itself after
 * a while, and leaves nothing behind however it ends.
 */
typedef struct ExecCanaries ExecCanaries;

/* Filesystems that get a writer; the records of the rest say that they got none. */
#define EXEC_CANARY_MAX 64

/* Starts a writer in each mount point (NULL-terminated list); they end after lifetime_s at the
 * latest. timeout_ms bounds every single wait of all functions here. */
ExecCanaries *exec_canaries_start(AgentLink *link, const char *const *mount_points,
                                  int64_t lifetime_s, int64_t timeout_ms, GError **error);
void exec_canaries_free(ExecCanaries *canaries);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExecCanaries, exec_canaries_free)

/* Right before the freeze: waits until every writer has written, reads the guest's clock. */
bool exec_canaries_mark_before(ExecCanaries *canaries, GError **error);
/* Right after the thaw: reads the guest's clock, waits until every writer has written again. */
bool exec_canaries_mark_after(ExecCanaries *canaries, GError **error);

/* Ends the writers. */
void exec_canaries_stop(ExecCanaries *canaries);

/* Ends the writers, fetches what they printed: of CanaryRecord, one per mount point. */
GPtrArray *exec_canaries_collect(ExecCanaries *canaries, double hold_s);
