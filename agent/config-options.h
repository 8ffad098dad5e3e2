/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/config.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The command line, qemu-ga's grammar: getopt_long(3), lists separated by commas, -F with its
 * argument attached. It is parsed before the key file is read, for it may name the key file, and
 * applied after.
 */
typedef struct {
    ConfigAction action;
    char *config_path;   /* -c; NULL when not given */
    GPtrArray *settings; /* private: what config_options_apply() carries over */
} ConfigOptions;

/* Stops at the first option that answers at once (--help, --version, --block-rpcs=help), as qemu-ga
 * does. argv is not changed. */
ConfigOptions *config_options_parse(int argc, char **argv, GError **error);
void config_options_free(ConfigOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConfigOptions, config_options_free)

bool config_options_apply(const ConfigOptions *options, Config *config, GError **error);
