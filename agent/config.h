/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/agent.h"
#include "agent/log.h"
#include "platform/freeze-plan.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Options from key files and the command line, qemu-ga's and our own. Key file: -c, else $QGA_CONF,
 * else both /etc/qemu/qemu-ga.conf and SYSCONFDIR/quiesced/quiesced.conf, as far as they exist.
 * Lists add up; for all else the later file wins over the earlier, and the command line over both.
 * Source: ../shared/protocol/README.md, "Command line and files that a drop-in keeps".
 */
#define CONFIG_LOG_SYSLOG "syslog" /* as log_file */

typedef enum {
    CHANNEL_VIRTIO_SERIAL,
    CHANNEL_ISA_SERIAL,
    CHANNEL_UNIX_LISTEN,
    CHANNEL_VSOCK_LISTEN,
} ChannelMethod;

typedef enum {
    CONFIG_ACTION_RUN,
    CONFIG_ACTION_VERSION,
    CONFIG_ACTION_HELP,
    CONFIG_ACTION_DUMP,
    CONFIG_ACTION_LIST_COMMANDS, /* --block-rpcs=help */
    CONFIG_ACTION_SHOW_PLAN,     /* --show-plan: what would be frozen, and what not and why */
    CONFIG_ACTION_THAW,          /* --thaw: for ExecStopPost; thaws what the state file names */
} ConfigAction;

/* Timeouts are milliseconds here (0 = no limit); the key file gives seconds. */
struct Config {
    ConfigAction action;

    /* group [general], as qemu-ga */
    bool daemonize;
    ChannelMethod method;
    char *path;     /* NULL only when a listening socket was handed over (sd_listen_fds(3)) */
    char *log_file; /* NULL: standard error, or syslog with daemonize; CONFIG_LOG_SYSLOG */
    char *pid_file;
    char *state_dir;
    char *fsfreeze_hook; /* NULL: no hooks */
    bool verbose;
    bool retry_path;
    char **block_rpcs; /* never NULL, NULL-terminated */
    char **allow_rpcs; /* NULL: everything not blocked */

    /* group [log] */
    uint64_t log_max_bytes; /* key max-size, 16 MiB; 0 = no limit */

    /* group [freeze] */
    int64_t presync_timeout_ms; /* key pre-sync-timeout, 60 s */
    int64_t freeze_timeout_ms;  /* key freeze-timeout, 30 s */
    int64_t hold_timeout_ms;    /* key hold-timeout, 300 s */
    int64_t hook_timeout_ms;    /* key hook-timeout, 30 s */
    bool hook_failure_aborts;   /* key hook-failure = abort (default) | ignore */
    bool expedite_rcu;          /* key expedite-rcu, default true */
    FreezeRules rules;          /* keys include-mountpoints, exclude-types, ..., other-namespaces */
};

/* Errors name what is wrong and where: FILE:LINE and key, or the option. With --help, --version and
 * --block-rpcs=help no file is read. With --thaw a broken file is only a warning, and no path is
 * needed. Relative paths become absolute. */
Config *config_load(int argc, char **argv, GError **error);
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* The effective configuration in key file form on standard output: --dump-conf. */
void config_print(const Config *config);
/* --help */
void config_print_help(const char *program);
