/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/hooks.h"

struct Hooks {
    GPtrArray *results; /* of HookResult */
    HooksDone done;
    void *user_data;
    unsigned idle_source;
};

Hooks *hooks_new(const char *path, int64_t timeout_ms)
{
    Hooks *hooks = g_new0(Hooks, 1);
    hooks->results = g_ptr_array_new();
    return hooks;
}

void hooks_free(Hooks *hooks)
{
    if (hooks == NULL)
        return;
    if (hooks->idle_source != 0)
        g_source_remove(hooks->idle_source);
    g_ptr_array_unref(hooks->results);
    g_free(hooks);
}

static gboolean report(void *user_data)
{
    Hooks *hooks = user_data;
    hooks->idle_source = 0;
    hooks->done(hooks->results, NULL, hooks->user_data);
    return G_SOURCE_REMOVE;
}

static void run(Hooks *hooks, HooksDone done, void *user_data)
{
    hooks->done = done;
    hooks->user_data = user_data;
    hooks->idle_source = g_idle_add(report, hooks);
}

void hooks_run_freeze(Hooks *hooks, bool stop_at_failure, HooksDone done, void *user_data)
{
    run(hooks, done, user_data);
}

void hooks_run_thaw(Hooks *hooks, HooksDone done, void *user_data)
{
    run(hooks, done, user_data);
}
