/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/domain-session.h"
#include "prober/libvirt/domain-disks.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct DomainSession {
    char *uri;
    char *name;
    virConnectPtr connection;
    virDomainPtr domain;
};

G_DEFINE_QUARK(domain - session - error - quark, domain_session_error)

static const struct {
    int code;
    const char *remedy;
} remedies[] = {
    {VIR_ERR_NO_DOMAIN, "'virsh list --all' shows the domains of this daemon; --connect names "
                        "another one"},
    {VIR_ERR_OPERATION_INVALID, "start the domain"},
    {VIR_ERR_ARGUMENT_UNSUPPORTED,
     "give the domain a channel: <channel type='unix'><target type='virtio' "
     "name='org.qemu.guest_agent.0'/></channel>"},
    {VIR_ERR_AGENT_UNRESPONSIVE, "is the agent running in the guest?"},
    {VIR_ERR_AGENT_UNSYNCED, "is the agent in the guest busy or stuck?"},
    {VIR_ERR_OPERATION_TIMEOUT, "somebody else, such as a backup, is at work on this domain"},
    {VIR_ERR_SYSTEM_ERROR,
     "is libvirtd (or virtqemud) running, and may this user open its socket?"},
    {VIR_ERR_NO_CONNECT, "--connect takes a URI such as qemu:///system"},
    {VIR_ERR_AUTH_FAILED, "run this as root, or as a member of the group libvirt"},
    {VIR_ERR_AUTH_CANCELLED, "run this as root, or as a member of the group libvirt"},
    {VIR_ERR_AUTH_UNAVAILABLE, "run this as root, or as a member of the group libvirt"},
    {VIR_ERR_ACCESS_DENIED, "this user's rights do not go so far"},
};

static void set_trouble(const DomainSession *session, GError **error)
{
    virErrorPtr problem = virGetLastError();
    const char *remedy = NULL;

    for (unsigned i = 0; problem && i < G_N_ELEMENTS(remedies); i++) {
        if (remedies[i].code == problem->code)
            remedy = remedies[i].remedy;
    }
    g_set_error(error, DOMAIN_SESSION_ERROR, DOMAIN_SESSION_ERROR_TROUBLE,
                "libvirt%s%s%s%s: %s%s%s", session->uri ? " at " : "",
                session->uri ? session->uri : "", *session->name ? ", domain " : "", session->name,
                problem && problem->message ? problem->message : "it does not say what is wrong",
                remedy ? "; " : "", remedy ? remedy : "");
}

DomainSession *domain_session_new(const char *uri, const char *domain)
{
    DomainSession *session = g_new0(DomainSession, 1);

    session->uri = g_strdup(uri);
    session->name = g_strdup(domain);
    return session;
}

static void close_connection(DomainSession *session)
{
    if (session->domain)
        virDomainFree(session->domain);
    if (session->connection)
        virConnectClose(session->connection);
    session->domain = NULL;
    session->connection = NULL;
}

void domain_session_free(DomainSession *session)
{
    close_connection(session);
    g_free(session->uri);
    g_free(session->name);
    g_free(session);
}

/* After whatever failed: what is lost must not fail the next call, too. */
static void drop_when_lost(DomainSession *session)
{
    if (session->connection && virConnectIsAlive(session->connection) != 1)
        close_connection(session);
}

static virDomainPtr find_domain(virConnectPtr connection, const char *name)
{
    char *end = NULL;
    virDomainPtr domain = virDomainLookupByName(connection, name);

    if (domain || virGetLastErrorCode() != VIR_ERR_NO_DOMAIN)
        return domain;
    if (g_uuid_string_is_valid(name))
        return virDomainLookupByUUIDString(connection, name);
    long number = strtol(name, &end, 10);
    if (g_ascii_isdigit(*name) && *end == '\0' && number <= G_MAXINT)
        return virDomainLookupByID(connection, (int)number);
    return NULL;
}

gboolean domain_session_open(DomainSession *session, GError **error)
{
    if (session->domain)
        return TRUE;
    if (!session->connection)
        session->connection = virConnectOpen(session->uri);
    if (session->connection) {
        if (*session->name == '\0')
            return TRUE;
        session->domain = find_domain(session->connection, session->name);
        if (session->domain)
            return TRUE;
    }
    set_trouble(session, error);
    close_connection(session);
    return FALSE;
}

/*
 * libvirt passes an agent's refusal on as a sentence with the command in single quotes, whatever
 * its language: "... command 'guest-x': text" (qemuAgentCheckError in src/qemu/qemu_agent.c). Its
 * own trouble with the agent has codes of its own, or names guest-sync. NULL: no refusal.
 */
static const char *find_refusal(const virError *problem, const char *command)
{
    g_autofree char *quoted = g_strdup_printf("'%s': ", command);

    if (!problem || problem->domain == VIR_FROM_RPC || problem->code != VIR_ERR_INTERNAL_ERROR ||
        !problem->message)
        return NULL;
    const char *found = strstr(problem->message, quoted);
    return found ? found + strlen(quoted) : NULL;
}

char *domain_session_agent(DomainSession *session, const char *command, const char *request,
                           int timeout_s, GError **error)
{
    if (!domain_session_open(session, error))
        return NULL;
    char *answer = virDomainQemuAgentCommand(session->domain, request, timeout_s, 0);
    if (answer)
        return answer;

    const char *refusal = find_refusal(virGetLastError(), command);
    if (!refusal) {
        set_trouble(session, error);
        drop_when_lost(session);
        return NULL;
    }
    /* libvirt drops the class; this is the text of QEMU's and of quiesced's. */
    bool unknown = g_str_has_prefix(refusal, "The command ") &&
                   g_str_has_suffix(refusal, " has not been found");
    g_set_error_literal(error, DOMAIN_SESSION_ERROR,
                        unknown ? DOMAIN_SESSION_ERROR_NOT_FOUND : DOMAIN_SESSION_ERROR_REFUSED,
                        refusal);
    return NULL;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **domain_session_list(DomainSession *session, GError **error)
{
    virDomainPtr *domains = NULL;

    if (!domain_session_open(session, error))
        return NULL;
    int count =
        virConnectListAllDomains(session->connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (count < 0) {
        set_trouble(session, error);
        drop_when_lost(session);
        return NULL;
    }
    GPtrArray *names = g_ptr_array_new();
    for (int i = 0; i < count; i++) {
        g_ptr_array_add(names, g_strdup(virDomainGetName(domains[i])));
        virDomainFree(domains[i]);
    }
    free(domains);
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

static void block_stats_free(gpointer data)
{
    DomainBlockStats *stats = data;

    g_free(stats->name);
    g_free(stats);
}

static bool read_number(const virDomainStatsRecord *record, unsigned index, const char *field,
                        uint64_t *value)
{
    g_autofree char *name = g_strdup_printf("block.%u.%s", index, field);
    unsigned long long number = 0;

    if (virTypedParamsGetULLong(record->params, record->nparams, name, &number) != 1)
        return false;
    *value = number;
    return true;
}

static GPtrArray *read_block_stats(const virDomainStatsRecord *record)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(block_stats_free);
    unsigned count = 0;

    virTypedParamsGetUInt(record->params, record->nparams, "block.count", &count);
    for (unsigned i = 0; i < count; i++) {
        g_autofree char *field = g_strdup_printf("block.%u.name", i);
        const char *name = NULL;
        DomainBlockStats stats = {0};
        if (virTypedParamsGetString(record->params, record->nparams, field, &name) != 1 ||
            !read_number(record, i, "wr.reqs", &stats.writes) ||
            !read_number(record, i, "wr.bytes", &stats.bytes))
            continue;
        stats.name = g_strdup(name);
        g_ptr_array_add(list, g_memdup2(&stats, sizeof stats));
    }
    return list;
}

GPtrArray *domain_session_block_stats(DomainSession *session, GError **error)
{
    virDomainStatsRecordPtr *records = NULL;

    if (!domain_session_open(session, error))
        return NULL;
    virDomainPtr domains[] = {session->domain, NULL};
    if (virDomainListGetStats(domains, VIR_DOMAIN_STATS_BLOCK, &records, 0) < 0) {
        set_trouble(session, error);
        drop_when_lost(session);
        return NULL;
    }
    g_autoptr(GPtrArray) list = records[0] ? read_block_stats(records[0]) : NULL;
    virDomainStatsRecordListFree(records);
    if (list && list->len > 0)
        return g_steal_pointer(&list);
    g_set_error(error, DOMAIN_SESSION_ERROR, DOMAIN_SESSION_ERROR_TROUBLE,
                "libvirt has no write counters of domain %s; is it running, and has it a disk?",
                session->name);
    return NULL;
}

/* Files of another host, where libvirt runs, mean nothing here. */
static void mark_remote(DomainSession *session, const GPtrArray *disks)
{
    char *text = virConnectGetURI(session->connection);
    g_autoptr(GUri) uri = text ? g_uri_parse(text, G_URI_FLAGS_NON_DNS, NULL) : NULL;
    const char *host = uri ? g_uri_get_host(uri) : NULL;

    for (unsigned i = 0; host && *host && i < disks->len; i++) {
        DomainDisk *disk = g_ptr_array_index(disks, i);
        if (!disk->problem)
            disk->problem = g_strdup_printf("it is on %s, where libvirt runs", host);
    }
    free(text);
}

GPtrArray *domain_session_disks(DomainSession *session, GError **error)
{
    g_autoptr(GError) problem = NULL;

    if (!domain_session_open(session, error))
        return NULL;
    char *xml = virDomainGetXMLDesc(session->domain, 0);
    if (!xml) {
        set_trouble(session, error);
        drop_when_lost(session);
        return NULL;
    }
    GPtrArray *disks = domain_disks_parse(xml, &problem);
    free(xml);
    if (!disks)
        g_set_error(error, DOMAIN_SESSION_ERROR, DOMAIN_SESSION_ERROR_TROUBLE,
                    "libvirt's XML of domain %s cannot be read: %s", session->name,
                    problem->message);
    else
        mark_remote(session, disks);
    return disks;
}

gboolean domain_session_snapshot(DomainSession *session, const char *xml, GError **error)
{
    if (!domain_session_open(session, error))
        return FALSE;
    virDomainSnapshotPtr snapshot = virDomainSnapshotCreateXML(
        session->domain, xml,
        VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC |
            VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA);
    if (snapshot) {
        virDomainSnapshotFree(snapshot);
        return TRUE;
    }
    set_trouble(session, error);
    drop_when_lost(session);
    return FALSE;
}
