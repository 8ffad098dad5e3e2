/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Network interfaces, addresses and routes, from the kernel by rtnetlink(7) through libmnl. Answers
 * are those of the agent's own network namespace. Errors are G_FILE_ERROR.
 */
#define NETWORK_ADDRESS_CHARACTERS 46 /* INET6_ADDRSTRLEN */

typedef struct {
    bool ipv6;
    char text[NETWORK_ADDRESS_CHARACTERS];
    unsigned prefix;
} NetworkAddress;

typedef struct {
    int index;
    char *name;
    char *hardware_address; /* "52:54:00:12:34:56"; NULL: it has none */
    GArray *addresses;      /* of NetworkAddress, in the kernel's order */
    bool has_statistics;
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
    uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
} NetworkInterface;

/* A GPtrArray of NetworkInterface in the kernel's order; owned by the caller. NULL with an error.
 */
GPtrArray *network_interfaces_read(GError **error);

typedef struct {
    bool ipv6;
    char *interface;            /* NULL: it leads nowhere (blackhole, several hops) */
    NetworkAddress destination; /* "0.0.0.0" or "::" with prefix 0: the default route */
    NetworkAddress source;      /* from where, of IPv6; prefix 0: from anywhere */
    char gateway[NETWORK_ADDRESS_CHARACTERS]; /* "" when none */
    uint32_t metric;
    uint32_t flags; /* RTF_UP, RTF_GATEWAY, RTF_HOST, RTF_REJECT: linux/route.h */
    uint32_t mtu;
    uint32_t window;
    uint32_t rtt_ms;
} NetworkRoute;

/* The main table's routes, IPv4 before IPv6: a GPtrArray of NetworkRoute; owned by the caller. NULL
 * with an error. */
GPtrArray *network_routes_read(GError **error);
