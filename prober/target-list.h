/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/target.h"

#include <glib.h>
#include <stdbool.h>

/* The guests that a command line names. */
typedef struct {
    const char *const *sockets;  /* NULL-terminated or NULL, as all lists here */
    const char *const *patterns; /* of sockets, glob(7) */
    const char *const *vsocks;   /* CID[:PORT] */
    const char *const *domains;
    const char *const
        *qmps; /* one for each of the guests, in the order above; or of the patterns */
    const char *connect_uri;
    bool all_domains; /* that run now, besides */
} TargetListOptions;

/*
 * Of Target, each guest once, in the order of the members above; never empty. A pattern stands for
 * the unix sockets that match it, sorted; its QMP socket is the path in which the '*' is what the
 * pattern's '*' stands for. Errors are PROBE_ERROR_USAGE; with all_domains, for which libvirt is
 * asked, those of libvirt_domains_list() (prober/libvirt/libvirt-domains.h), too.
 */
GPtrArray *target_list_new(const TargetListOptions *options, GError **error);

/* The QMP socket of the agent at path, which the pattern matches; NULL unless both patterns have
 * exactly one '*' and no other special character of glob(7). Pure; free with g_free(). */
char *target_list_pair(const char *path, const char *pattern, const char *qmp_pattern);
