/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"
#include "prober/counter-source.h"

#include <glib.h>

/*
 * One guest as the command line names it, and the ways to it: its agent, its write counters, its
 * disks. The only place that knows which transport serves which. Verbs hold a Target, never a path.
 */
typedef struct {
    char *name;        /* for people: the domain, or the socket's path */
    char *socket_path; /* the agent's character device; NULL: another way */
    unsigned vsock_cid;
    unsigned vsock_port; /* 0: no vsock */
    char *connect_uri;   /* libvirt; NULL: libvirt's default URI */
    char *domain;        /* libvirt; NULL: no libvirt */
    char *qmp_path;      /* NULL: none */
} Target;

Target *target_copy(const Target *target);
void target_free(Target *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Target, target_free)

/* Connects nothing yet, libvirt included. */
AgentLink *target_agent(const Target *target, int64_t timeout_ms);

/* The hypervisor's counters: QMP, else libvirt. NULL with an error; *remedy (static) then tells what
 * to add or check. */
CounterSource *target_counters(const Target *target, int64_t timeout_ms, int interrupt_fd,
                               const char **remedy, GError **error);
