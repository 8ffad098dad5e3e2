/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* quiesce-canary: writers that a host starts, reads and stops; docs/extension-protocol.md. */
#include "agent/canary-run.h"
#include "agent/command.h"
#include "agent/config.h"
#include "agent/freeze-engine.h"
#include "platform/block-stack.h"
#include "platform/mount-table.h"

typedef struct {
    char *action;
    char **mountpoints;
    int64_t limit_ms;
    bool has_limit;
} CanaryArguments;

static const Argument canary_arguments[] = {
    ARGUMENT("action", ARGUMENT_STRING, REQUIRED, CanaryArguments, action),
    ARGUMENT("mountpoints", ARGUMENT_STRINGS, OPTIONAL, CanaryArguments, mountpoints),
    ARGUMENT_WITH_PRESENCE("limit-ms", ARGUMENT_INTEGER, CanaryArguments, limit_ms, has_limit),
    ARGUMENT_END,
};

static bool check_start(const Agent *agent, const CanaryArguments *given, GError **error)
{
    if (given->has_limit && (given->limit_ms < 1 || given->limit_ms > CANARY_RUN_MAX_LIMIT_MS)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter 'limit-ms' is out of range: %" G_GINT64_FORMAT
                    " (1 to %lld milliseconds)",
                    given->limit_ms, CANARY_RUN_MAX_LIMIT_MS);
        return false;
    }
    /* A writer is begun by opening a file, which a frozen filesystem does not allow. */
    if (freeze_engine_state(agent->freeze_engine) == FREEZE_STATE_THAWED)
        return true;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                "cannot start canaries while the agent is in frozen state: start them before the "
                "freeze");
    return false;
}

static bool start(Agent *agent, const CanaryArguments *given, GError **error)
{
    if (!check_start(agent, given, error))
        return false;
    g_autoptr(MountTable) mounts = mount_table_read(true, error);
    g_autoptr(BlockStack) stack = mounts ? block_stack_read(mounts, error) : NULL;
    FreezePlan *plan = stack ? freeze_plan_build(mounts, stack, &agent->config->rules,
                                                 (const char *const *)given->mountpoints, error)
                             : NULL;
    return plan &&
           canary_run_start(agent->canary_run, plan,
                            given->has_limit ? given->limit_ms : CANARY_RUN_PRESET_LIMIT_MS, error);
}

static bool run_canary(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const CanaryArguments *given = arguments;

    if (g_str_equal(given->action, "start")) {
        if (!start(agent, given, error))
            return false;
    } else if (g_str_equal(given->action, "stop")) {
        canary_run_stop(agent->canary_run);
    } else if (!g_str_equal(given->action, "read")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter 'action' is not known: \"%s\" (start, stop, read)", given->action);
        return false;
    }
    canary_run_write(agent->canary_run, reply, "return");
    return true;
}

/* While frozen, too: what is read and stopped lies in memory. */
const Command canary_commands[] = {
    {"quiesce-canary", canary_arguments, sizeof(CanaryArguments), run_canary, NULL,
     COMMAND_WHILE_FROZEN},
    {NULL},
};
