/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/config.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Every setting once: its group and key, its type, its place in Config. The key file, the command
 * line and --dump-conf all work from this table.
 */
typedef enum {
    CONFIG_KEY_BOOLEAN,  /* bool; .names are the words for false and true */
    CONFIG_KEY_METHOD,   /* ChannelMethod, by the names of .names */
    CONFIG_KEY_STRING,   /* char *; empty means NULL */
    CONFIG_KEY_SECONDS,  /* int64_t, milliseconds; the text is seconds, decimals allowed */
    CONFIG_KEY_SIZE,     /* uint64_t, bytes; the text may end in K, M or G */
    CONFIG_KEY_COMMANDS, /* char **; always shown by --dump-conf unless NULL */
    CONFIG_KEY_PATTERNS, /* char **; shown when not empty */
} ConfigKeyType;

typedef struct {
    const char *group;
    const char *name;
    const char *old_name; /* accepted too; NULL when there is none */
    ConfigKeyType type;
    size_t offset;            /* in Config */
    const char *const *names; /* NULL-terminated */
} ConfigKey;

/* In the order in which --dump-conf shows them; ended by a row with name NULL. */
extern const ConfigKey config_keys[];

bool config_key_group_exists(const char *group);

/* By its present or its old name; NULL when there is none. */
const ConfigKey *config_key_find(const char *group, const char *name);

bool config_key_is_list(const ConfigKey *key);

/* Sets the value: lists grow by the values (white space around them and empty ones are dropped),
 * everything else takes the first. The error says what is wrong with the value, not where it
 * stands. */
bool config_key_set(const ConfigKey *key, Config *config, const char *const *values,
                    GError **error);

/* Writes the value into the key file as config_key_set() would read it, or nothing where it is
 * unset. The key file's list separator must be the comma. */
void config_key_store(const ConfigKey *key, const Config *config, GKeyFile *file);

/* Back to nothing: frees what the value holds. */
void config_key_clear(const ConfigKey *key, Config *config);
