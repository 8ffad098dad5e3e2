/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config.h"

#include <stdio.h>

Config *config_load(int argc, char **argv, GError **error)
{
    Config *config = g_new0(Config, 1);
    config->method = CHANNEL_VIRTIO_SERIAL;
    config->path = g_strdup("/dev/virtio-ports/org.qemu.guest_agent.0");
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
    g_free(config->path);
    g_free(config->log_file);
    g_free(config->pid_file);
    g_free(config->state_dir);
    g_free(config->fsfreeze_hook);
    g_strfreev(config->block_rpcs);
    g_strfreev(config->allow_rpcs);
    g_strfreev(config->rules.include_mount_points);
    g_strfreev(config->rules.include_types);
    g_strfreev(config->rules.include_devices);
    g_strfreev(config->rules.exclude_mount_points);
    g_strfreev(config->rules.exclude_types);
    g_strfreev(config->rules.exclude_devices);
    g_free(config);
}

void config_print(const Config *config)
{
}

void config_print_help(const char *program)
{
    printf("Usage: %s [-m METHOD] [-p PATH] [OPTION...]\n", program);
}
