/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/command.h"

#include <glib.h>
#include <stdbool.h>

/*
 * The rows of all families, and which of them may run: what the administrator's lists and the
 * frozen state say.
 */
typedef struct CommandTable CommandTable;

/* families: NULL-terminated, kept. */
CommandTable *command_table_new(const Command *const *families);
void command_table_free(CommandTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CommandTable, command_table_free)

/* The rows in the order of the families; index below command_table_length(). */
unsigned command_table_length(const CommandTable *table);
const Command *command_table_get(const CommandTable *table, unsigned index);

/* NULL when there is none of that name. */
const Command *command_table_find(const CommandTable *table, const char *name);

/*
 * Switches off the blocked commands and, when allowed is not NULL, all that it does not list; a
 * command in both is off. Either may be NULL. Returns the names that are no command, to be freed
 * with g_strfreev().
 * Source: qemu-ga's --block-rpcs and --allow-rpcs (no command, guest-sync included, is exempt).
 */
char **command_table_restrict(CommandTable *table, const char *const *blocked,
                              const char *const *allowed);

/* Whether a request for command is carried out now; the error, class CommandNotFound, says what is
 * in the way. */
bool command_table_permits(const CommandTable *table, const Command *command, bool frozen,
                           GError **error);
