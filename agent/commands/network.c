/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/network.h"
#include "agent/command.h"

#include <arpa/inet.h>

/* Interfaces, addresses and routes. */

static void write_addresses(JsonWriter *reply, const GArray *addresses)
{
    if (addresses->len == 0)
        return;
    json_writer_begin_array(reply, "ip-addresses");
    for (unsigned i = 0; i < addresses->len; i++) {
        const NetworkAddress *address = &g_array_index(addresses, NetworkAddress, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "ip-address", address->text);
        json_writer_string(reply, "ip-address-type", address->ipv6 ? "ipv6" : "ipv4");
        json_writer_unsigned(reply, "prefix", address->prefix);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
}

static void write_statistics(JsonWriter *reply, const NetworkInterface *interface)
{
    json_writer_begin_object(reply, "statistics");
    json_writer_unsigned(reply, "rx-bytes", interface->rx_bytes);
    json_writer_unsigned(reply, "rx-packets", interface->rx_packets);
    json_writer_unsigned(reply, "rx-errs", interface->rx_errors);
    json_writer_unsigned(reply, "rx-dropped", interface->rx_dropped);
    json_writer_unsigned(reply, "tx-bytes", interface->tx_bytes);
    json_writer_unsigned(reply, "tx-packets", interface->tx_packets);
    json_writer_unsigned(reply, "tx-errs", interface->tx_errors);
    json_writer_unsigned(reply, "tx-dropped", interface->tx_dropped);
    json_writer_end_object(reply);
}

static bool run_get_interfaces(Agent *agent, const void *arguments, JsonWriter *reply,
                               GError **error)
{
    g_autoptr(GPtrArray) interfaces = network_interfaces_read(error);

    if (!interfaces)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < interfaces->len; i++) {
        const NetworkInterface *interface = g_ptr_array_index(interfaces, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "name", interface->name);
        json_writer_optional_string(reply, "hardware-address", interface->hardware_address);
        write_addresses(reply, interface->addresses);
        if (interface->has_statistics)
            write_statistics(reply, interface);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

static void write_ipv4_route(JsonWriter *reply, const NetworkRoute *route)
{
    char mask[INET_ADDRSTRLEN];
    struct in_addr bits = {
        route->destination.prefix > 0 ? htonl(~0u << (32 - route->destination.prefix)) : 0};

    json_writer_string(reply, "gateway", route->gateway[0] ? route->gateway : "0.0.0.0");
    json_writer_string(reply, "mask", inet_ntop(AF_INET, &bits, mask, sizeof mask));
    json_writer_unsigned(reply, "irtt", route->rtt_ms);
    json_writer_unsigned(reply, "window", route->window);
    json_writer_unsigned(reply, "mtu", route->mtu);
}

static void write_prefix(JsonWriter *reply, const char *name, unsigned prefix)
{
    g_autofree char *text = g_strdup_printf("%u", prefix);

    json_writer_string(reply, name, text);
}

static void write_ipv6_route(JsonWriter *reply, const NetworkRoute *route)
{
    write_prefix(reply, "desprefixlen", route->destination.prefix);
    json_writer_string(reply, "source", route->source.text);
    write_prefix(reply, "srcprefixlen", route->source.prefix);
    json_writer_string(reply, "nexthop", route->gateway[0] ? route->gateway : "::");
}

static bool run_get_route(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    g_autoptr(GPtrArray) routes = network_routes_read(error);

    if (!routes)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < routes->len; i++) {
        const NetworkRoute *route = g_ptr_array_index(routes, i);
        json_writer_begin_object(reply, NULL);
        /* As /proc/net/route names what leads nowhere. */
        json_writer_string(reply, "iface", route->interface ? route->interface : "*");
        json_writer_string(reply, "destination", route->destination.text);
        json_writer_unsigned(reply, "metric", route->metric);
        json_writer_unsigned(reply, "flags", route->flags);
        json_writer_integer(reply, "version", route->ipv6 ? 6 : 4);
        if (route->ipv6)
            write_ipv6_route(reply, route);
        else
            write_ipv4_route(reply, route);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

const Command network_commands[] = {
    {.name = "guest-network-get-interfaces",
     .run = run_get_interfaces,
     .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-network-get-route", .run = run_get_route, .flags = COMMAND_WHILE_FROZEN},
    {.name = NULL},
};
