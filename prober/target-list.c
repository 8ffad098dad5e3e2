/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/target-list.h"
#include "prober/libvirt/libvirt-domains.h"
#include "prober/probe-error.h"

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

static unsigned count(const char *const *list)
{
    return list ? g_strv_length((char **)list) : 0;
}

/* Where its one '*' is; NULL when there is none, or more. */
static const char *only_star(const char *pattern)
{
    const char *special = strpbrk(pattern, "*?[\\");

    return special && *special == '*' && !strpbrk(special + 1, "*?[\\") ? special : NULL;
}

char *target_list_pair(const char *path, const char *pattern, const char *qmp_pattern)
{
    const char *star = only_star(pattern);
    const char *qmp_star = only_star(qmp_pattern);

    if (!star || !qmp_star)
        return NULL;
    size_t before = (size_t)(star - pattern);
    size_t after = strlen(star + 1);
    g_assert(strlen(path) >= before + after);
    g_autofree char *matched = g_strndup(path + before, strlen(path) - before - after);
    return g_strdup_printf("%.*s%s%s", (int)(qmp_star - qmp_pattern), qmp_pattern, matched,
                           qmp_star + 1);
}

static bool add(GPtrArray *list, const TargetOptions *options, GError **error)
{
    Target *target = target_new(options, error);

    if (!target)
        return false;
    g_ptr_array_add(list, target);
    return true;
}

static bool is_socket(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static bool add_matches(GPtrArray *list, const glob_t *found, const char *pattern,
                        const char *qmp_pattern, GError **error)
{
    unsigned before = list->len;

    for (size_t i = 0; i < found->gl_pathc; i++) {
        const char *path = found->gl_pathv[i];
        g_autofree char *qmp = qmp_pattern ? target_list_pair(path, pattern, qmp_pattern) : NULL;
        const TargetOptions options = {.socket_path = path, .qmp_path = qmp};
        if (is_socket(path) && !add(list, &options, error))
            return false;
    }
    if (list->len > before)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "--sockets: no unix socket is called like '%s', or this user may not look there",
                pattern);
    return false;
}

static bool add_pattern(GPtrArray *list, const char *pattern, const char *qmp_pattern,
                        GError **error)
{
    glob_t found = {0};

    if (qmp_pattern && (!only_star(pattern) || !only_star(qmp_pattern))) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "with --sockets, --qmp belongs to a pattern, and both have one '*' in them and "
                    "nothing else that is special: --sockets '/run/*.agent' --qmp '/run/*.qmp'");
        return false;
    }
    glob(pattern, 0, NULL, &found);
    bool added = add_matches(list, &found, pattern, qmp_pattern, error);
    globfree(&found);
    return added;
}

/* How many --qmp there have to be, if any: one for each guest that is named, or one a pattern. */
static bool check_qmps(const TargetListOptions *options, GError **error)
{
    unsigned named = count(options->sockets) + count(options->vsocks) + count(options->domains);
    unsigned patterns = count(options->patterns);
    unsigned qmps = count(options->qmps);

    if (qmps > 0 && options->all_domains) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "with --all, libvirt gives the write counters: leave out --qmp");
        return false;
    }
    if (qmps == 0 || qmps == named + patterns)
        return true;
    if (named + patterns == 0)
        return true; /* what is missing is an agent */
    g_set_error(
        error, PROBE_ERROR, PROBE_ERROR_USAGE,
        "there are %u guests and %u QMP sockets: give one --qmp for each --socket, --sockets, "
        "--vsock and --domain, or none",
        named + patterns, qmps);
    return false;
}

/* How long to wait for libvirt's list; each guest has its own timeouts. */
#define LIST_TIMEOUT_MS 10000

static bool add_all_domains(GPtrArray *list, const char *uri, GError **error)
{
    g_auto(GStrv) names = libvirt_domains_list(uri, LIST_TIMEOUT_MS, error);

    for (char **name = names; name && *name; name++) {
        const TargetOptions one = {.domain = *name, .connect_uri = uri};
        if (!add(list, &one, error))
            return false;
    }
    if (!names || *names)
        return names != NULL;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "--all: no domain runs at this libvirt; --connect URI names another one");
    return false;
}

static bool check_names(const GPtrArray *list, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (unsigned i = 0; i < list->len; i++) {
        const Target *target = g_ptr_array_index(list, i);
        if (g_hash_table_add(names, target->name))
            continue;
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "'%s' is named twice", target->name);
        return false;
    }
    return true;
}

GPtrArray *target_list_new(const TargetListOptions *options, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)target_free);
    const char *const *qmp = options->qmps;
    unsigned domains = count(options->domains);
    bool good = check_qmps(options, error);

    for (unsigned i = 0; good && i < count(options->sockets); i++) {
        const TargetOptions one = {.socket_path = options->sockets[i],
                                   .qmp_path = qmp ? *qmp++ : NULL};
        good = add(list, &one, error);
    }
    for (unsigned i = 0; good && i < count(options->patterns); i++)
        good = add_pattern(list, options->patterns[i], qmp ? *qmp++ : NULL, error);
    for (unsigned i = 0; good && i < count(options->vsocks); i++) {
        const TargetOptions one = {.vsock = options->vsocks[i], .qmp_path = qmp ? *qmp++ : NULL};
        good = add(list, &one, error);
    }
    for (unsigned i = 0; good && i < domains; i++) {
        const TargetOptions one = {.domain = options->domains[i],
                                   .connect_uri = options->connect_uri,
                                   .qmp_path = qmp ? *qmp++ : NULL};
        good = add(list, &one, error);
    }
    if (good && options->all_domains)
        good = add_all_domains(list, options->connect_uri, error);
    if (good &&
        (list->len == 0 || (domains == 0 && !options->all_domains && options->connect_uri))) {
        /* The error of a command line without a guest. */
        const TargetOptions nobody = {.connect_uri = options->connect_uri};
        good = add(list, &nobody, error);
    }
    return good && check_names(list, error) ? g_steal_pointer(&list) : NULL;
}
