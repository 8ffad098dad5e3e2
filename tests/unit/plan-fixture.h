/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the plan share: one mount table and one block stack per test, filled from
 * fixtures, and short ways to ask what the plan says. */

#include "platform/freeze-plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static MountTable *mounts;
static BlockStack *stack;

static inline void add_mounts(const char *name, pid_t namespace_pid)
{
    g_autofree char *path = g_build_filename(g_getenv("FIXTURES"), "mountinfo", name, NULL);
    g_autoptr(GError) error = NULL;

    if (!mount_table_add_file(mounts, path, namespace_pid, &error))
        ck_abort_msg("%s", error->message);
}

static inline void setup(void)
{
    mounts = mount_table_new();
    stack = block_stack_new();
}

static inline void teardown(void)
{
    mount_table_free(mounts);
    block_stack_free(stack);
}

static inline BlockDevice *add_loop(unsigned number, const char *backing_file, dev_t backing_device)
{
    g_autofree char *name = g_strdup_printf("loop%u", number);
    BlockDevice *device = block_stack_add(stack, makedev(7, number), name);

    device->backing_file = g_strdup(backing_file);
    device->backing_device = backing_device;
    return device;
}

/* /c on a partition of a file on /b, /b in a file on /a, /a in a file on /; /apart stands alone. */
static inline void add_nest(void)
{
    BlockDevice *partition;

    add_mounts("nested", 0);
    add_loop(0, "/a.img", makedev(254, 0));
    add_loop(1, "/a/b.img", makedev(7, 0));
    add_loop(2, "/b/c.img", makedev(7, 1));
    partition = block_stack_add(stack, makedev(259, 3), "loop2p1");
    block_device_add_lower(partition, makedev(7, 2));
}

static inline FreezePlan *plan_with(const FreezeRules *rules, const char *const *requested)
{
    g_autoptr(GError) error = NULL;
    FreezePlan *plan = freeze_plan_build(mounts, stack, rules, requested, &error);

    ck_assert_msg(plan != NULL, "%s", error ? error->message : "");
    return plan;
}

static inline FreezePlan *plan_all(void)
{
    return plan_with(NULL, NULL);
}

static inline const FreezeTarget *target_at(const FreezePlan *plan, const char *mount_point)
{
    for (guint i = 0; i < plan->targets->len; i++) {
        const FreezeTarget *target = g_ptr_array_index(plan->targets, i);

        if (g_str_equal(target->mount_point, mount_point))
            return target;
    }
    return NULL;
}

/* The reason why it is left out, "" when it is not. */
static inline const char *reason_at(const FreezePlan *plan, const char *mount_point)
{
    for (guint i = 0; i < plan->skips->len; i++) {
        const FreezeSkip *skip = g_ptr_array_index(plan->skips, i);

        if (g_str_equal(skip->mount_point, mount_point))
            return skip->reason;
    }
    return "";
}

/* The targets as "/b:0 /a:1", in their order. */
static inline char *outline(const FreezePlan *plan)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < plan->targets->len; i++) {
        const FreezeTarget *target = g_ptr_array_index(plan->targets, i);

        g_string_append_printf(text, "%s%s:%u", i > 0 ? " " : "", target->mount_point,
                               target->wave);
    }
    return g_string_free(text, FALSE);
}

static inline void assert_outline(const FreezePlan *plan, const char *expected)
{
    g_autofree char *text = outline(plan);

    ck_assert_str_eq(text, expected);
}

static inline void assert_skipped(const FreezePlan *plan, const char *mount_point,
                                  const char *reason_part)
{
    ck_assert_msg(strstr(reason_at(plan, mount_point), reason_part), "%s: '%s' lacks '%s'",
                  mount_point, reason_at(plan, mount_point), reason_part);
}

static inline TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, setup, teardown);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
