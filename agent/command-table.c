/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command-table.h"

#include "protocol/protocol-error.h"

struct CommandTable {
    GPtrArray *rows;     /* of Command, in order */
    GHashTable *by_name; /* name -> Command */
    GHashTable *off;     /* set of Command switched off by the lists */
};

CommandTable *command_table_new(const Command *const *families)
{
    CommandTable *table = g_new0(CommandTable, 1);
    table->rows = g_ptr_array_new();
    table->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    table->off = g_hash_table_new(NULL, NULL);

    for (; *families != NULL; families++) {
        for (const Command *command = *families; command->name != NULL; command++) {
            g_ptr_array_add(table->rows, (gpointer)command);
            bool is_new =
                g_hash_table_insert(table->by_name, (gpointer)command->name, (gpointer)command);
            g_assert(is_new);
        }
    }
    return table;
}

void command_table_free(CommandTable *table)
{
    if (table == NULL)
        return;
    g_ptr_array_unref(table->rows);
    g_hash_table_unref(table->by_name);
    g_hash_table_unref(table->off);
    g_free(table);
}

unsigned command_table_length(const CommandTable *table)
{
    return table->rows->len;
}

const Command *command_table_get(const CommandTable *table, unsigned index)
{
    return table->rows->pdata[index];
}

const Command *command_table_find(const CommandTable *table, const char *name)
{
    return g_hash_table_lookup(table->by_name, name);
}

static void collect_unknown(const CommandTable *table, const char *const *names, GPtrArray *unknown)
{
    for (; names != NULL && *names != NULL; names++)
        if (command_table_find(table, *names) == NULL)
            g_ptr_array_add(unknown, g_strdup(*names));
}

static bool is_listed(const char *const *names, const char *name)
{
    return names != NULL && g_strv_contains(names, name);
}

char **command_table_restrict(CommandTable *table, const char *const *blocked,
                              const char *const *allowed)
{
    for (unsigned i = 0; i < table->rows->len; i++) {
        const Command *command = command_table_get(table, i);
        if (is_listed(blocked, command->name) ||
            (allowed != NULL && !is_listed(allowed, command->name)))
            g_hash_table_add(table->off, (gpointer)command);
    }

    GPtrArray *unknown = g_ptr_array_new();
    collect_unknown(table, blocked, unknown);
    collect_unknown(table, allowed, unknown);
    g_ptr_array_add(unknown, NULL);
    return (char **)g_ptr_array_free(unknown, FALSE);
}

bool command_table_permits(const CommandTable *table, const Command *command, bool frozen,
                           GError **error)
{
    const char *reason = NULL;
    if (g_hash_table_contains(table->off, command))
        reason = "the command is not allowed";
    else if (frozen && (command->flags & COMMAND_WHILE_FROZEN) == 0)
        reason = "the agent is in frozen state";
    if (reason == NULL)
        return true;
    g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND,
                "Command %s has been disabled: %s", command->name, reason);
    return false;
}
