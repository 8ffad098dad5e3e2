/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/route.h>
#include <string.h>

typedef struct mnl_socket MnlSocket;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MnlSocket, mnl_socket_close)

/* The kernel fills what it is offered, 32 KiB at most: linux/net/netlink/af_netlink.c */
#define DUMP_BUFFER_BYTES 32768
#define DUMP_TRIES 5

/* ---- asking ---- */

static bool receive_all(MnlSocket *socket, unsigned sequence, mnl_cb_t callback, void *data)
{
    g_autofree char *buffer = g_malloc(DUMP_BUFFER_BYTES);

    for (;;) {
        ssize_t length = mnl_socket_recvfrom(socket, buffer, DUMP_BUFFER_BYTES);
        if (length < 0)
            return false;
        int result = mnl_cb_run(buffer, (size_t)length, sequence, mnl_socket_get_portid(socket),
                                callback, data);
        if (result == MNL_CB_STOP)
            return true;
        if (result < 0)
            return false;
    }
}

/* One dump: callback sees each object. What changes meanwhile (EINTR) is asked for once more. */
static bool dump_once(uint16_t type, unsigned char family, mnl_cb_t callback, void *data)
{
    char request[NLMSG_ALIGN(sizeof(struct nlmsghdr)) + NLMSG_ALIGN(sizeof(struct rtmsg))];
    struct nlmsghdr *header = mnl_nlmsg_put_header(request);
    g_autoptr(MnlSocket) socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = 1;
    struct rtmsg *message = mnl_nlmsg_put_extra_header(header, sizeof *message);
    message->rtm_family = family;
    return socket && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
           mnl_socket_sendto(socket, header, header->nlmsg_len) >= 0 &&
           receive_all(socket, header->nlmsg_seq, callback, data);
}

static bool dump(uint16_t type, unsigned char family, GPtrArray *found, mnl_cb_t callback,
                 const char *what, GError **error)
{
    unsigned before = found->len;

    for (unsigned try = 0; try < DUMP_TRIES; try++) {
        g_ptr_array_set_size(found, (int)before);
        if (dump_once(type, family, callback, found))
            return true;
        if (errno != EINTR)
            break;
    }
    int cause = errno;
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                "cannot ask the kernel for its %s: %s", what, g_strerror(cause));
    return false;
}

/* ---- attributes ---- */

typedef struct {
    const struct nlattr *of[MAX(MAX(IFLA_MAX, IFA_MAX), RTA_MAX) + 1];
} Attributes;

static int keep_attribute(const struct nlattr *attribute, void *data)
{
    Attributes *attributes = data;
    uint16_t type = mnl_attr_get_type(attribute);

    if (type < G_N_ELEMENTS(attributes->of))
        attributes->of[type] = attribute;
    return MNL_CB_OK;
}

static void write_address(const struct nlattr *attribute, unsigned char family, char *text)
{
    size_t wanted = family == AF_INET6 ? 16 : 4;

    text[0] = '\0';
    if (attribute && mnl_attr_get_payload_len(attribute) >= wanted)
        inet_ntop(family, mnl_attr_get_payload(attribute), text, NETWORK_ADDRESS_CHARACTERS);
}

static uint32_t number_of(const struct nlattr *attribute)
{
    return attribute && mnl_attr_get_payload_len(attribute) >= sizeof(uint32_t)
               ? mnl_attr_get_u32(attribute)
               : 0;
}

/* ---- interfaces ---- */

static void interface_free(void *data)
{
    NetworkInterface *interface = data;

    g_free(interface->name);
    g_free(interface->hardware_address);
    g_array_unref(interface->addresses);
    g_free(interface);
}

static char *colon_separated(const struct nlattr *attribute)
{
    const uint8_t *bytes = mnl_attr_get_payload(attribute);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < mnl_attr_get_payload_len(attribute); i++)
        g_string_append_printf(text, "%s%02x", i > 0 ? ":" : "", bytes[i]);
    return g_string_free(text, FALSE);
}

static void take_statistics(const struct nlattr *attribute, NetworkInterface *interface)
{
    struct rtnl_link_stats64 statistics = {0};

    /* Older kernels know fewer of them, newer ones more. */
    memcpy(&statistics, mnl_attr_get_payload(attribute),
           MIN(sizeof statistics, mnl_attr_get_payload_len(attribute)));
    interface->has_statistics = true;
    interface->rx_bytes = statistics.rx_bytes;
    interface->rx_packets = statistics.rx_packets;
    interface->rx_errors = statistics.rx_errors;
    interface->rx_dropped = statistics.rx_dropped;
    interface->tx_bytes = statistics.tx_bytes;
    interface->tx_packets = statistics.tx_packets;
    interface->tx_errors = statistics.tx_errors;
    interface->tx_dropped = statistics.tx_dropped;
}

static int take_link(const struct nlmsghdr *header, void *data)
{
    const struct ifinfomsg *message = mnl_nlmsg_get_payload(header);
    Attributes attributes = {0};
    GPtrArray *interfaces = data;

    mnl_attr_parse(header, sizeof *message, keep_attribute, &attributes);
    if (!attributes.of[IFLA_IFNAME])
        return MNL_CB_OK;
    NetworkInterface *interface = g_new0(NetworkInterface, 1);
    interface->index = message->ifi_index;
    interface->name = g_strdup(mnl_attr_get_str(attributes.of[IFLA_IFNAME]));
    interface->addresses = g_array_new(FALSE, FALSE, sizeof(NetworkAddress));
    if (attributes.of[IFLA_ADDRESS] && mnl_attr_get_payload_len(attributes.of[IFLA_ADDRESS]) > 0)
        interface->hardware_address = colon_separated(attributes.of[IFLA_ADDRESS]);
    if (attributes.of[IFLA_STATS64])
        take_statistics(attributes.of[IFLA_STATS64], interface);
    g_ptr_array_add(interfaces, interface);
    return MNL_CB_OK;
}

typedef struct {
    int index;
    NetworkAddress address;
} OwnedAddress;

/* IFA_LOCAL is ours where the link is point to point and IFA_ADDRESS the peer's: linux/if_addr.h */
static int take_address(const struct nlmsghdr *header, void *data)
{
    const struct ifaddrmsg *message = mnl_nlmsg_get_payload(header);
    Attributes attributes = {0};

    if (message->ifa_family != AF_INET && message->ifa_family != AF_INET6)
        return MNL_CB_OK;
    mnl_attr_parse(header, sizeof *message, keep_attribute, &attributes);
    OwnedAddress *owned = g_new0(OwnedAddress, 1);
    owned->index = (int)message->ifa_index;
    owned->address.ipv6 = message->ifa_family == AF_INET6;
    owned->address.prefix = message->ifa_prefixlen;
    const struct nlattr *local = attributes.of[IFA_LOCAL];
    write_address(local ? local : attributes.of[IFA_ADDRESS], message->ifa_family,
                  owned->address.text);
    g_ptr_array_add(data, owned);
    return MNL_CB_OK;
}

static void distribute(const GPtrArray *addresses, const GPtrArray *interfaces)
{
    for (unsigned i = 0; i < addresses->len; i++) {
        const OwnedAddress *owned = g_ptr_array_index(addresses, i);
        for (unsigned k = 0; k < interfaces->len; k++) {
            const NetworkInterface *interface = g_ptr_array_index(interfaces, k);
            if (interface->index == owned->index && owned->address.text[0])
                g_array_append_val(interface->addresses, owned->address);
        }
    }
}

GPtrArray *network_interfaces_read(GError **error)
{
    g_autoptr(GPtrArray) interfaces = g_ptr_array_new_with_free_func(interface_free);
    g_autoptr(GPtrArray) addresses = g_ptr_array_new_with_free_func(g_free);

    if (!dump(RTM_GETLINK, AF_UNSPEC, interfaces, take_link, "network interfaces", error) ||
        !dump(RTM_GETADDR, AF_UNSPEC, addresses, take_address, "network addresses", error))
        return NULL;
    distribute(addresses, interfaces);
    return g_steal_pointer(&interfaces);
}

/* ---- routes ---- */

static void route_free(void *data)
{
    NetworkRoute *route = data;

    g_free(route->interface);
    g_free(route);
}

static void take_end(const struct nlattr *attribute, unsigned char family, unsigned prefix,
                     NetworkAddress *end)
{
    end->ipv6 = family == AF_INET6;
    end->prefix = prefix;
    write_address(attribute, family, end->text);
    if (!end->text[0])
        g_strlcpy(end->text, end->ipv6 ? "::" : "0.0.0.0", sizeof end->text);
}

static int take_metric(const struct nlattr *attribute, void *data)
{
    NetworkRoute *route = data;
    uint16_t type = mnl_attr_get_type(attribute);

    if (type == RTAX_MTU)
        route->mtu = number_of(attribute);
    else if (type == RTAX_WINDOW)
        route->window = number_of(attribute);
    else if (type == RTAX_RTT)
        route->rtt_ms = number_of(attribute) / 8; /* the kernel counts eighths */
    return MNL_CB_OK;
}

static uint32_t flags_of(const NetworkRoute *route, unsigned char type)
{
    unsigned host_prefix = route->ipv6 ? 128 : 32;
    bool rejects = type == RTN_BLACKHOLE || type == RTN_UNREACHABLE || type == RTN_PROHIBIT;

    return (uint32_t)(RTF_UP | (route->gateway[0] ? RTF_GATEWAY : 0) |
                      (route->destination.prefix == host_prefix ? RTF_HOST : 0) |
                      (rejects ? RTF_REJECT : 0));
}

static void take_hop(NetworkRoute *route, uint32_t index, const struct nlattr *gateway)
{
    char name[IF_NAMESIZE];

    write_address(gateway, route->ipv6 ? AF_INET6 : AF_INET, route->gateway);
    if (index != 0 && if_indextoname(index, name))
        route->interface = g_strdup(name);
}

/* Of several hops the first, as /proc/net/route has it. rtnetlink(7) */
static void take_first_hop(NetworkRoute *route, const struct nlattr *hops)
{
    const struct rtnexthop *first = mnl_attr_get_payload(hops);
    size_t length = mnl_attr_get_payload_len(hops);
    Attributes attributes = {0};

    if (length < sizeof *first || first->rtnh_len < sizeof *first || first->rtnh_len > length)
        return;
    mnl_attr_parse_payload(first + 1, first->rtnh_len - sizeof *first, keep_attribute, &attributes);
    take_hop(route, (uint32_t)first->rtnh_ifindex, attributes.of[RTA_GATEWAY]);
}

static int take_route(const struct nlmsghdr *header, void *data)
{
    const struct rtmsg *message = mnl_nlmsg_get_payload(header);
    Attributes attributes = {0};

    mnl_attr_parse(header, sizeof *message, keep_attribute, &attributes);
    uint32_t table =
        attributes.of[RTA_TABLE] ? number_of(attributes.of[RTA_TABLE]) : message->rtm_table;
    if (table != RT_TABLE_MAIN || (message->rtm_flags & RTM_F_CLONED))
        return MNL_CB_OK;
    NetworkRoute *route = g_new0(NetworkRoute, 1);
    route->ipv6 = message->rtm_family == AF_INET6;
    take_end(attributes.of[RTA_DST], message->rtm_family, message->rtm_dst_len,
             &route->destination);
    take_end(attributes.of[RTA_SRC], message->rtm_family, message->rtm_src_len, &route->source);
    route->metric = number_of(attributes.of[RTA_PRIORITY]);
    if (attributes.of[RTA_MULTIPATH])
        take_first_hop(route, attributes.of[RTA_MULTIPATH]);
    else
        take_hop(route, number_of(attributes.of[RTA_OIF]), attributes.of[RTA_GATEWAY]);
    if (attributes.of[RTA_METRICS])
        mnl_attr_parse_nested(attributes.of[RTA_METRICS], take_metric, route);
    route->flags = flags_of(route, message->rtm_type);
    g_ptr_array_add(data, route);
    return MNL_CB_OK;
}

GPtrArray *network_routes_read(GError **error)
{
    g_autoptr(GPtrArray) routes = g_ptr_array_new_with_free_func(route_free);

    if (!dump(RTM_GETROUTE, AF_INET, routes, take_route, "IPv4 routes", error) ||
        !dump(RTM_GETROUTE, AF_INET6, routes, take_route, "IPv6 routes", error))
        return NULL;
    return g_steal_pointer(&routes);
}
