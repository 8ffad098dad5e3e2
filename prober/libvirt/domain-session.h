/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/*
 * One domain of a libvirt daemon: the only part that calls libvirt. Every call may block for as
 * long as libvirt does; who cannot wait runs this in a process of its own (main.c).
 * A lost connection is made anew by the next call.
 */
typedef struct DomainSession DomainSession;

#define DOMAIN_SESSION_ERROR (domain_session_error_quark())
GQuark domain_session_error_quark(void);

typedef enum {
    DOMAIN_SESSION_ERROR_TROUBLE,   /* libvirt's, with a remedy where there is one */
    DOMAIN_SESSION_ERROR_REFUSED,   /* the agent's own answer, its text */
    DOMAIN_SESSION_ERROR_NOT_FOUND, /* the same, of class CommandNotFound */
} DomainSessionError;

/* uri: NULL is libvirt's default. domain: a name, a UUID or the number of a running domain, in this
 * order. Connects nothing yet. */
DomainSession *domain_session_new(const char *uri, const char *domain);
void domain_session_free(DomainSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainSession, domain_session_free)

/* Connects, and finds the domain; with an empty name, for domain_session_list() alone, no domain.
 */
gboolean domain_session_open(DomainSession *session, GError **error);

/*
 * Has libvirt send request, the JSON text of a command, to the agent; command is its name. Returns
 * the reply's text, an object with "return". Not virDomainFSFreeze(): that returns a count and
 * hides the agent's own reply. libvirt brings itself into step with the agent each time
 * (guest-sync), and marks the domain as tainted once (custom-ga-command).
 */
char *domain_session_agent(DomainSession *session, const char *command, const char *request,
                           int timeout_s, GError **error);

/* The names of the domains that run, sorted, NULL-terminated. */
char **domain_session_list(DomainSession *session, GError **error);

typedef struct {
    char *name; /* as in DomainDisk */
    uint64_t writes;
    uint64_t bytes;
} DomainBlockStats;

/* Of DomainBlockStats: each disk with counters. A domain that is off is an error. */
GPtrArray *domain_session_block_stats(DomainSession *session, GError **error);

/* Of DomainDisk (domain-disks.h). */
GPtrArray *domain_session_disks(DomainSession *session, GError **error);

/* virDomainSnapshotCreateXML: external, of disks alone, all or none, and without a record of it in
 * libvirt. */
gboolean domain_session_snapshot(DomainSession *session, const char *xml, GError **error);
