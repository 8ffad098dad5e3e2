/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config-key.h"

#include <errno.h>
#include <math.h>

/* A year: more is a typing error, and it keeps the sums of deadlines far from overflow. */
#define SECONDS_MAX (366.0 * 24 * 3600)

static const char *const boolean_names[] = {"false", "true", NULL};
static const char *const hook_failure_names[] = {"ignore", "abort", NULL};
/* In the order of ChannelMethod. */
static const char *const method_names[] = {"virtio-serial", "isa-serial", "unix-listen",
                                           "vsock-listen", NULL};

#define KEY(group_, name_, type_, member_) \
    { \
        .group = group_, .name = name_, .type = CONFIG_KEY_##type_, \
        .offset = offsetof(Config, member_) \
    }
#define KEY_NAMED(group_, name_, type_, member_, names_) \
    { \
        .group = group_, .name = name_, .type = CONFIG_KEY_##type_, \
        .offset = offsetof(Config, member_), .names = names_ \
    }
#define KEY_BOOLEAN(group_, name_, member_) \
    KEY_NAMED(group_, name_, BOOLEAN, member_, boolean_names)

const ConfigKey config_keys[] = {
    KEY_BOOLEAN("general", "daemon", daemonize),
    KEY_NAMED("general", "method", METHOD, method, method_names),
    KEY("general", "path", STRING, path),
    KEY("general", "logfile", STRING, log_file),
    KEY("general", "pidfile", STRING, pid_file),
    KEY("general", "fsfreeze-hook", STRING, fsfreeze_hook),
    KEY("general", "statedir", STRING, state_dir),
    KEY_BOOLEAN("general", "verbose", verbose),
    KEY_BOOLEAN("general", "retry-path", retry_path),
    {.group = "general",
     .name = "block-rpcs",
     .old_name = "blacklist",
     .type = CONFIG_KEY_COMMANDS,
     .offset = offsetof(Config, block_rpcs)},
    KEY("general", "allow-rpcs", COMMANDS, allow_rpcs),

    KEY("log", "max-size", SIZE, log_max_bytes),

    KEY("freeze", "pre-sync-timeout", SECONDS, presync_timeout_ms),
    KEY("freeze", "freeze-timeout", SECONDS, freeze_timeout_ms),
    KEY("freeze", "hold-timeout", SECONDS, hold_timeout_ms),
    KEY("freeze", "hook-timeout", SECONDS, hook_timeout_ms),
    KEY_NAMED("freeze", "hook-failure", BOOLEAN, hook_failure_aborts, hook_failure_names),
    KEY_BOOLEAN("freeze", "expedite-rcu", expedite_rcu),
    KEY_BOOLEAN("freeze", "other-namespaces", rules.other_namespaces),
    KEY("freeze", "include-mountpoints", PATTERNS, rules.include_mount_points),
    KEY("freeze", "include-types", PATTERNS, rules.include_types),
    KEY("freeze", "include-devices", PATTERNS, rules.include_devices),
    KEY("freeze", "exclude-mountpoints", PATTERNS, rules.exclude_mount_points),
    KEY("freeze", "exclude-types", PATTERNS, rules.exclude_types),
    KEY("freeze", "exclude-devices", PATTERNS, rules.exclude_devices),
    {.name = NULL},
};

bool config_key_group_exists(const char *group)
{
    for (const ConfigKey *key = config_keys; key->name != NULL; key++)
        if (g_str_equal(key->group, group))
            return true;
    return false;
}

const ConfigKey *config_key_find(const char *group, const char *name)
{
    for (const ConfigKey *key = config_keys; key->name != NULL; key++)
        if (g_str_equal(key->group, group) &&
            (g_str_equal(key->name, name) || g_strcmp0(key->old_name, name) == 0))
            return key;
    return NULL;
}

bool config_key_is_list(const ConfigKey *key)
{
    return key->type == CONFIG_KEY_COMMANDS || key->type == CONFIG_KEY_PATTERNS;
}

/* The setters: text is stripped of white space, *place is the member of Config. */

static int find_name(const ConfigKey *key, const char *text, GError **error)
{
    for (int i = 0; key->names[i] != NULL; i++)
        if (g_str_equal(key->names[i], text))
            return i;
    g_autofree char *choices = g_strjoinv(", ", (char **)key->names);
    g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE, "'%s' is none of: %s",
                text, choices);
    return -1;
}

static bool set_boolean(const ConfigKey *key, void *place, const char *text, GError **error)
{
    /* GKeyFile, and so qemu-ga, takes digits too. */
    if (key->names == boolean_names && (g_str_equal(text, "0") || g_str_equal(text, "1"))) {
        *(bool *)place = text[0] == '1';
        return true;
    }
    int index = find_name(key, text, error);
    if (index < 0)
        return false;
    *(bool *)place = index == 1;
    return true;
}

static bool set_method(const ConfigKey *key, void *place, const char *text, GError **error)
{
    int index = find_name(key, text, error);
    if (index < 0)
        return false;
    *(ChannelMethod *)place = (ChannelMethod)index;
    return true;
}

static bool set_string(const ConfigKey *key, void *place, const char *text, GError **error)
{
    char **string = place;
    g_free(*string);
    *string = *text == '\0' ? NULL : g_strdup(text);
    return true;
}

static bool set_seconds(const ConfigKey *key, void *place, const char *text, GError **error)
{
    char *end = NULL;
    double seconds = g_ascii_strtod(text, &end);
    /* The first test keeps out what strtod(3) takes besides: signs, "inf", "nan", hexadecimal. */
    if (strspn(text, "0123456789.") != strlen(text) || end == text || *end != '\0' ||
        seconds > SECONDS_MAX) {
        g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE,
                    "'%s' is no number of seconds (0 for no limit, at most %.0f)", text,
                    SECONDS_MAX);
        return false;
    }
    /* Rounded up: a limit of less than a millisecond must not become no limit. */
    *(int64_t *)place = (int64_t)ceil(seconds * 1000);
    return true;
}

static bool set_size(const ConfigKey *key, void *place, const char *text, GError **error)
{
    static const char suffixes[] = "KMG";
    char *end = NULL;
    errno = 0;
    guint64 size = g_ascii_strtoull(text, &end, 10);
    const char *suffix = *end == '\0' ? NULL : strchr(suffixes, *end);
    unsigned shift = suffix == NULL ? 0 : 10 * (unsigned)(suffix - suffixes + 1);
    bool well_formed = g_ascii_isdigit(text[0]) && (*end == '\0' || (suffix && end[1] == '\0'));
    if (!well_formed || errno != 0 || size > (uint64_t)INT64_MAX >> shift) {
        g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_INVALID_VALUE,
                    "'%s' is no size in bytes (K, M or G may follow; 0 for no limit)", text);
        return false;
    }
    *(uint64_t *)place = size << shift;
    return true;
}

typedef bool (*Setter)(const ConfigKey *key, void *place, const char *text, GError **error);

static const Setter setters[] = {
    [CONFIG_KEY_BOOLEAN] = set_boolean, [CONFIG_KEY_METHOD] = set_method,
    [CONFIG_KEY_STRING] = set_string,   [CONFIG_KEY_SECONDS] = set_seconds,
    [CONFIG_KEY_SIZE] = set_size,
};

static void list_append(char ***list, const char *const *values)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (*list != NULL)
        g_strv_builder_addv(builder, (const char **)*list);
    for (; *values != NULL; values++) {
        g_autofree char *value = g_strstrip(g_strdup(*values));
        if (*value != '\0')
            g_strv_builder_add(builder, value);
    }
    g_strfreev(*list);
    *list = g_strv_builder_end(builder);
}

bool config_key_set(const ConfigKey *key, Config *config, const char *const *values, GError **error)
{
    void *place = (char *)config + key->offset;
    if (config_key_is_list(key)) {
        /* An empty list says nothing: no allow list is not a list that allows nothing. */
        if (values[0] != NULL)
            list_append(place, values);
        return true;
    }
    g_autofree char *text = g_strstrip(g_strdup(values[0]));
    return setters[key->type](key, place, text, error);
}

static void store_list(const ConfigKey *key, char **list, GKeyFile *file)
{
    if (list == NULL || (key->type == CONFIG_KEY_PATTERNS && list[0] == NULL))
        return;
    g_key_file_set_string_list(file, key->group, key->name, (const char *const *)list,
                               g_strv_length(list));
    /* GKeyFile ends a list with a separator, which qemu-ga would take for one name more. */
    g_autofree char *text = g_key_file_get_value(file, key->group, key->name, NULL);
    if (g_str_has_suffix(text, ","))
        text[strlen(text) - 1] = '\0';
    g_key_file_set_value(file, key->group, key->name, text);
}

void config_key_store(const ConfigKey *key, const Config *config, GKeyFile *file)
{
    const void *place = (const char *)config + key->offset;
    g_autofree char *text = NULL;
    switch (key->type) {
    case CONFIG_KEY_BOOLEAN:
        text = g_strdup(key->names[*(const bool *)place ? 1 : 0]);
        break;
    case CONFIG_KEY_METHOD:
        text = g_strdup(key->names[*(const ChannelMethod *)place]);
        break;
    case CONFIG_KEY_STRING:
        if (*(char *const *)place != NULL)
            g_key_file_set_string(file, key->group, key->name, *(char *const *)place);
        return;
    case CONFIG_KEY_SECONDS: {
        char number[G_ASCII_DTOSTR_BUF_SIZE];
        text =
            g_strdup(g_ascii_dtostr(number, sizeof number, (double)*(const int64_t *)place / 1000));
        break;
    }
    case CONFIG_KEY_SIZE:
        text = g_strdup_printf("%" G_GUINT64_FORMAT, *(const uint64_t *)place);
        break;
    case CONFIG_KEY_COMMANDS:
    case CONFIG_KEY_PATTERNS:
        store_list(key, *(char **const *)place, file);
        return;
    }
    g_key_file_set_value(file, key->group, key->name, text);
}

void config_key_clear(const ConfigKey *key, Config *config)
{
    void *place = (char *)config + key->offset;
    if (key->type == CONFIG_KEY_STRING)
        g_clear_pointer((char **)place, g_free);
    if (config_key_is_list(key))
        g_clear_pointer((char ***)place, g_strfreev);
}
