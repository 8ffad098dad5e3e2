/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/target.h"
#include "prober/agent-stream.h"
#include "prober/block-counters.h"
#include "prober/block-snapshot.h"
#include "prober/libvirt/libvirt-agent.h"
#include "prober/libvirt/libvirt-counters.h"
#include "prober/libvirt/libvirt-disks.h"
#include "prober/libvirt/libvirt-snapshot.h"
#include "prober/probe-error.h"
#include "prober/qmp.h"

#include <linux/vm_sockets.h>

static bool check_ways(const TargetOptions *options, GError **error)
{
    int ways =
        (options->socket_path != NULL) + (options->vsock != NULL) + (options->domain != NULL);

    if (options->connect_uri && !options->domain) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "--connect names libvirt's daemon, not a guest: add --domain NAME");
        return false;
    }
    if (options->domain && *options->domain == '\0') {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "--domain must not be empty");
        return false;
    }
    if (ways == 1)
        return true;
    if (ways == 0)
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "no agent given: add --socket PATH, the unix socket of the character device "
                    "behind org.qemu.guest_agent.0, or --vsock CID, or --domain NAME where "
                    "libvirt runs the guest");
    else
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "--socket, --vsock and --domain are three ways to one agent: give one of them");
    return false;
}

static bool parse_number(const char *text, uint64_t maximum, uint32_t *number)
{
    guint64 value = 0;

    if (!g_ascii_string_to_unsigned(text, 10, 1, maximum, &value, NULL))
        return false;
    *number = (uint32_t)value;
    return true;
}

/* The largest number stands for "any" in both places: VMADDR_CID_ANY and VMADDR_PORT_ANY. */
static bool parse_vsock(Target *target, const char *text, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", 2);

    target->vsock_port = TARGET_VSOCK_PORT;
    if (parts[0] && parse_number(parts[0], VMADDR_CID_ANY - 1, &target->vsock_cid) &&
        (!parts[1] || parse_number(parts[1], VMADDR_PORT_ANY - 1, &target->vsock_port)))
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "--vsock must be CID or CID:PORT, two numbers from 1 to 4294967294: the guest-cid "
                "of QEMU's vhost-vsock device, and the port on which the agent listens");
    return false;
}

static char *words_of(const Target *target)
{
    g_autofree char *value = g_shell_quote(
        target->domain ? target->domain : (target->socket_path ? target->socket_path : ""));

    if (target->vsock_port > 0)
        return g_strdup_printf("--vsock %u:%u", target->vsock_cid, target->vsock_port);
    if (!target->domain)
        return g_strconcat("--socket ", value, NULL);
    if (!target->connect_uri)
        return g_strconcat("--domain ", value, NULL);
    g_autofree char *uri = g_shell_quote(target->connect_uri);
    return g_strconcat("--connect ", uri, " --domain ", value, NULL);
}

static char *name_of(const Target *target)
{
    if (target->vsock_port > 0)
        return g_strdup_printf("vsock %u:%u", target->vsock_cid, target->vsock_port);
    return g_strdup(target->domain ? target->domain : target->socket_path);
}

Target *target_new(const TargetOptions *options, GError **error)
{
    g_autoptr(Target) target = g_new0(Target, 1);

    if (!check_ways(options, error) ||
        (options->vsock && !parse_vsock(target, options->vsock, error)))
        return NULL;
    target->socket_path = g_strdup(options->socket_path);
    target->connect_uri = g_strdup(options->connect_uri);
    target->domain = g_strdup(options->domain);
    target->qmp_path = g_strdup(options->qmp_path);
    target->name = name_of(target);
    target->words = words_of(target);
    return g_steal_pointer(&target);
}

Target *target_copy(const Target *target)
{
    Target *copy = g_new0(Target, 1);

    copy->name = g_strdup(target->name);
    copy->words = g_strdup(target->words);
    copy->socket_path = g_strdup(target->socket_path);
    copy->vsock_cid = target->vsock_cid;
    copy->vsock_port = target->vsock_port;
    copy->connect_uri = g_strdup(target->connect_uri);
    copy->domain = g_strdup(target->domain);
    copy->qmp_path = g_strdup(target->qmp_path);
    return copy;
}

void target_free(Target *target)
{
    g_free(target->name);
    g_free(target->words);
    g_free(target->socket_path);
    g_free(target->connect_uri);
    g_free(target->domain);
    g_free(target->qmp_path);
    g_free(target);
}

AgentLink *target_agent(const Target *target, int64_t timeout_ms)
{
    if (target->domain)
        return libvirt_agent_new(target->name, target->words, target->connect_uri, target->domain,
                                 timeout_ms);
    if (target->vsock_port > 0)
        return agent_stream_new_vsock(target->name, target->words, target->vsock_cid,
                                      target->vsock_port, timeout_ms);
    return agent_stream_new_unix(target->name, target->words, target->socket_path, timeout_ms);
}

CounterSource *target_counters(const Target *target, int64_t timeout_ms, int interrupt_fd,
                               const char **remedy, GError **error)
{
    if (!target->qmp_path && target->domain) {
        *remedy = NULL;
        return libvirt_counters_new(target->connect_uri, target->domain, timeout_ms, interrupt_fd,
                                    error);
    }
    if (!target->qmp_path) {
        *remedy = "add --qmp PATH";
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_QMP, "no QMP socket given");
        return NULL;
    }
    *remedy = "check --qmp PATH; it takes one client at a time";
    Qmp *qmp = qmp_open(target->qmp_path, timeout_ms, interrupt_fd, error);
    return qmp ? block_counters_new(qmp, timeout_ms, error) : NULL;
}

void target_disk_source_free(TargetDiskSource *source)
{
    g_free(source->name);
    g_free(source->address);
    g_free(source->format);
    g_free(source->problem);
    g_free(source);
}

GPtrArray *target_disk_sources(const Target *target, int64_t timeout_ms, int interrupt_fd,
                               GError **error)
{
    if (target->domain)
        return libvirt_disks_list(target->connect_uri, target->domain, timeout_ms, interrupt_fd,
                                  error);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "where the disks of %s are is not known: only libvirt tells, with --domain",
                target->name);
    return NULL;
}

SnapshotTaker *target_snapshots(const Target *target, int64_t timeout_ms, int interrupt_fd,
                                GError **error)
{
    if (!target->qmp_path)
        return libvirt_snapshot_new(target->connect_uri, target->domain, timeout_ms, interrupt_fd,
                                    error);
    Qmp *qmp = qmp_open(target->qmp_path, timeout_ms, interrupt_fd, error);
    return qmp ? block_snapshot_new(qmp, timeout_ms) : NULL;
}
