/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config-file.h"

#include "agent/config-key.h"

/* A configuration is not this long: whoever names a log file or a device by mistake is told so. */
#define FILE_BYTES_MAX (1024 * 1024)

/* GKeyFile tells no line numbers. Its reader stops at the first line that it does not like, so that
 * line ends the shortest beginning of the text that it refuses. */
static unsigned find_bad_line(char **lines)
{
    unsigned good = 0, bad = g_strv_length(lines);
    while (bad - good > 1) {
        unsigned middle = good + (bad - good) / 2;
        g_autofree char *cut = lines[middle];
        lines[middle] = NULL;
        g_autofree char *text = g_strjoinv("\n", lines);
        lines[middle] = g_steal_pointer(&cut);
        g_autoptr(GKeyFile) file = g_key_file_new();
        if (g_key_file_load_from_data(file, text, (gsize)-1, G_KEY_FILE_NONE, NULL))
            good = middle;
        else
            bad = middle;
    }
    return bad;
}

/* The line of a group (name NULL), or the last line of a key in it, whose value is the one that
 * counts. 0 when it is not found. */
static unsigned find_line(char **lines, const char *group, const char *name)
{
    g_autofree char *heading = g_strdup_printf("[%s]", group);
    bool in_group = false;
    unsigned found = 0;
    for (unsigned i = 0; lines[i] != NULL; i++) {
        g_autofree char *line = g_strstrip(g_strdup(lines[i]));
        if (line[0] == '[')
            in_group = g_str_equal(line, heading);
        if (!in_group)
            continue;
        if (name == NULL)
            return i + 1;
        char *equals = strchr(line, '=');
        if (equals == NULL)
            continue;
        *equals = '\0';
        if (g_str_equal(g_strchomp(line), name))
            found = i + 1;
    }
    return found;
}

static bool load_key(Config *config, GKeyFile *file, const ConfigKey *key, const char *name,
                     GError **error)
{
    g_auto(GStrv) values = NULL;
    if (config_key_is_list(key)) {
        values = g_key_file_get_string_list(file, key->group, name, NULL, error);
    } else {
        g_autofree char *text = g_key_file_get_string(file, key->group, name, error);
        if (text != NULL) {
            values = g_new0(char *, 2);
            values[0] = g_steal_pointer(&text);
        }
    }
    return values != NULL && config_key_set(key, config, (const char *const *)values, error);
}

static bool load_group(Config *config, GKeyFile *file, const char *group, const char *path,
                       char **lines, GError **error)
{
    if (!config_key_group_exists(group)) {
        g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_GROUP_NOT_FOUND,
                    "%s:%u: unknown group [%s]", path, find_line(lines, group, NULL), group);
        return false;
    }
    g_auto(GStrv) names = g_key_file_get_keys(file, group, NULL, NULL);
    for (char **name = names; *name != NULL; name++) {
        const ConfigKey *key = config_key_find(group, *name);
        unsigned line = find_line(lines, group, *name);
        if (key == NULL) {
            g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_KEY_NOT_FOUND,
                        "%s:%u: unknown key '%s' in group [%s]", path, line, *name, group);
            return false;
        }
        if (g_strcmp0(*name, key->old_name) == 0)
            log_warning("config", "%s:%u: key '%s' is now called '%s'", path, line, *name,
                        key->name);
        if (!load_key(config, file, key, *name, error)) {
            g_prefix_error(error, "%s:%u: key '%s' in group [%s]: ", path, line, *name, group);
            return false;
        }
    }
    return true;
}

static char *read_text(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    if (length > FILE_BYTES_MAX || strlen(text) != length) {
        g_set_error(error, G_KEY_FILE_ERROR, G_KEY_FILE_ERROR_PARSE, "%s: this is no key file (%s)",
                    path, length > FILE_BYTES_MAX ? "larger than 1 MiB" : "it holds NUL bytes");
        return NULL;
    }
    return g_steal_pointer(&text);
}

bool config_file_load(Config *config, const char *path, GError **error)
{
    g_autofree char *text = read_text(path, error);
    if (text == NULL) {
        g_prefix_error(error, "cannot read the configuration: ");
        return false;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_key_file_set_list_separator(file, ',');
    if (!g_key_file_load_from_data(file, text, (gsize)-1, G_KEY_FILE_NONE, error)) {
        g_prefix_error(error, "%s:%u: ", path, find_bad_line(lines));
        return false;
    }
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (char **group = groups; *group != NULL; group++)
        if (!load_group(config, file, *group, path, lines, error))
            return false;
    return true;
}
