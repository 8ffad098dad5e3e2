/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config.h"

#include "agent/config-file.h"
#include "agent/config-key.h"
#include "agent/config-options.h"
#include "build-config.h"

#include <stdio.h>

/* qemu-ga's own defaults where it has the setting: a drop-in is found where its predecessor was. */
#define DEFAULT_VIRTIO_PATH "/dev/virtio-ports/org.qemu.guest_agent.0"
#define DEFAULT_SERIAL_PATH "/dev/ttyS0"

/* In this order, so that ours has the last word. */
static const char *const default_files[] = {
    "/etc/qemu/qemu-ga.conf",
    QUIESCED_SYSCONFDIR "/quiesced/quiesced.conf",
};

static Config *config_new(void)
{
    Config *config = g_new0(Config, 1);
    config->method = CHANNEL_VIRTIO_SERIAL;
    config->pid_file = g_strdup("/var/run/qemu-ga.pid");
    config->state_dir = g_strdup("/var/run");
    config->block_rpcs = g_new0(char *, 1);
    config->log_max_bytes = 16 * 1024 * 1024;
    config->presync_timeout_ms = 60 * 1000;
    config->freeze_timeout_ms = 30 * 1000;
    config->hold_timeout_ms = 300 * 1000;
    config->hook_timeout_ms = 30 * 1000;
    config->hook_failure_aborts = true;
    config->expedite_rcu = true;
    config->rules.other_namespaces = true;
    return config;
}

void config_free(Config *config)
{
    if (config == NULL)
        return;
    for (const ConfigKey *key = config_keys; key->name != NULL; key++)
        config_key_clear(key, config);
    g_free(config);
}

/* A file that somebody named must be there; the default ones may be absent. */
static GStrv choose_files(const ConfigOptions *options)
{
    g_autoptr(GStrvBuilder) files = g_strv_builder_new();
    const char *environment = g_getenv("QGA_CONF");
    if (options->config_path != NULL) {
        g_strv_builder_add(files, options->config_path);
    } else if (environment != NULL && *environment != '\0') {
        g_strv_builder_add(files, environment);
    } else {
        for (size_t i = 0; i < G_N_ELEMENTS(default_files); i++)
            if (g_file_test(default_files[i], G_FILE_TEST_EXISTS))
                g_strv_builder_add(files, default_files[i]);
    }
    return g_strv_builder_end(files);
}

/* The daemon leaves the working directory, and SIGHUP opens files anew long after. */
static void make_absolute(char **path)
{
    if (*path == NULL || g_path_is_absolute(*path))
        return;
    g_autofree char *directory = g_get_current_dir();
    char *absolute = g_build_filename(directory, *path, NULL);
    g_free(*path);
    *path = absolute;
}

static bool complete_path(Config *config, GError **error)
{
    static const char *const defaults[] = {
        [CHANNEL_VIRTIO_SERIAL] = DEFAULT_VIRTIO_PATH,
        [CHANNEL_ISA_SERIAL] = DEFAULT_SERIAL_PATH,
        [CHANNEL_UNIX_LISTEN] = NULL,
        [CHANNEL_VSOCK_LISTEN] = NULL,
    };
    if (config->path == NULL)
        config->path = g_strdup(defaults[config->method]);
    /* A socket that was handed over needs no name: sd_listen_fds(3). A thaw needs no host. */
    if (config->path == NULL && g_getenv("LISTEN_FDS") == NULL &&
        config->action != CONFIG_ACTION_THAW) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "this method has no default path: name one with --path or the key 'path'");
        return false;
    }
    if (config->method != CHANNEL_VSOCK_LISTEN)
        make_absolute(&config->path);
    return true;
}

static bool complete(Config *config, GError **error)
{
    if (config->pid_file == NULL || config->state_dir == NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "the agent needs a pid file and a state directory: "
                    "'pidfile' and 'statedir' must not be empty");
        return false;
    }
    if (config->block_rpcs[0] != NULL && config->allow_rpcs != NULL) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "'block-rpcs' and 'allow-rpcs' exclude each other: use one of them");
        return false;
    }
    if (g_strcmp0(config->log_file, CONFIG_LOG_SYSLOG) != 0)
        make_absolute(&config->log_file);
    make_absolute(&config->pid_file);
    make_absolute(&config->state_dir);
    make_absolute(&config->fsfreeze_hook);
    return complete_path(config, error);
}

static bool load_files(Config *config, const ConfigOptions *options, GError **error)
{
    g_auto(GStrv) files = choose_files(options);
    for (char **file = files; *file != NULL; file++) {
        g_autoptr(GError) file_error = NULL;
        if (config_file_load(config, *file, &file_error))
            continue;
        if (options->action != CONFIG_ACTION_THAW) {
            g_propagate_error(error, g_steal_pointer(&file_error));
            return false;
        }
        /* A guest must not stay frozen because of a typing error in its configuration. */
        log_warning("config", "%s; thawing without the rest of this file", file_error->message);
    }
    return true;
}

Config *config_load(int argc, char **argv, GError **error)
{
    g_autoptr(ConfigOptions) options = config_options_parse(argc, argv, error);
    if (options == NULL)
        return NULL;
    g_autoptr(Config) config = config_new();
    config->action = options->action;
    bool answers_at_once = options->action == CONFIG_ACTION_HELP ||
                           options->action == CONFIG_ACTION_VERSION ||
                           options->action == CONFIG_ACTION_LIST_COMMANDS;
    if (!answers_at_once &&
        (!load_files(config, options, error) || !config_options_apply(options, config, error) ||
         !complete(config, error)))
        return NULL;
    return g_steal_pointer(&config);
}

void config_print(const Config *config)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_key_file_set_list_separator(file, ',');
    for (const ConfigKey *key = config_keys; key->name != NULL; key++)
        config_key_store(key, config, file);
    g_autofree char *text = g_key_file_to_data(file, NULL, NULL);
    fputs(text, stdout);
}
