/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/show-plan.h"

#include "platform/block-stack.h"
#include "platform/freeze-plan.h"
#include "platform/mount-table.h"

#include <stdio.h>
#include <sys/sysmacros.h>

/* A table of text whose columns are as wide as their widest cell; the last is not padded. */
typedef struct {
    unsigned columns;
    GPtrArray *cells; /* row by row */
} Table;

static void table_add(Table *table, char *cell)
{
    g_ptr_array_add(table->cells, cell);
}

static void table_print(const Table *table)
{
    g_autofree size_t *widths = g_new0(size_t, table->columns);
    for (unsigned i = 0; i < table->cells->len; i++) {
        size_t *width = &widths[i % table->columns];
        *width = MAX(*width, (size_t)g_utf8_strlen(table->cells->pdata[i], -1));
    }
    for (unsigned i = 0; i < table->cells->len; i++) {
        const char *cell = table->cells->pdata[i];
        bool is_last = i % table->columns == table->columns - 1;
        size_t padding =
            is_last ? 0 : widths[i % table->columns] - (size_t)g_utf8_strlen(cell, -1) + 2;
        printf("%s%s%*s%s", i % table->columns == 0 ? "  " : "", cell, (int)padding, "",
               is_last ? "\n" : "");
    }
}

/* Mount points are any bytes; a terminal is shown none that could steer it. */
static char *printable(const char *text)
{
    return g_strescape(text != NULL ? text : "-", "\"");
}

static char *device_number(dev_t device)
{
    return g_strdup_printf("%u:%u", major(device), minor(device));
}

static void print_targets(const FreezePlan *plan)
{
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    Table table = {.columns = 5, .cells = cells};
    for (unsigned i = 0; i < plan->targets->len; i++) {
        const FreezeTarget *target = plan->targets->pdata[i];
        table_add(&table, g_strdup_printf("wave %u", target->wave));
        table_add(&table, printable(target->mount_point));
        table_add(&table, printable(target->fs_type));
        table_add(&table, printable(target->source));
        g_autofree char *number = device_number(target->device);
        g_autofree char *place =
            target->namespace_pid == 0
                ? g_strdup("")
                : g_strdup_printf(", in the mount namespace of process %d", target->namespace_pid);
        table_add(&table, g_strdup_printf("device %s%s", number, place));
    }
    printf("%u to freeze, in %u %s\n", plan->targets->len, plan->waves,
           plan->waves == 1 ? "wave" : "waves");
    table_print(&table);
}

static void print_skips(const FreezePlan *plan)
{
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    Table table = {.columns = 4, .cells = cells};
    for (unsigned i = 0; i < plan->skips->len; i++) {
        const FreezeSkip *skip = plan->skips->pdata[i];
        table_add(&table, printable(skip->mount_point));
        table_add(&table, printable(skip->fs_type));
        table_add(&table, printable(skip->source));
        table_add(&table, g_strdup(skip->reason));
    }
    printf("%u left out\n", plan->skips->len);
    table_print(&table);
}

bool show_plan(const Config *config, GError **error)
{
    g_autoptr(MountTable) mounts = mount_table_read(true, error);
    if (mounts == NULL)
        return false;
    g_autoptr(BlockStack) stack = block_stack_read(mounts, error);
    if (stack == NULL)
        return false;
    g_autoptr(FreezePlan) plan = freeze_plan_build(mounts, stack, &config->rules, NULL, error);
    if (plan == NULL)
        return false;
    print_targets(plan);
    print_skips(plan);
    return true;
}
