/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/log.h"
#include "agent/worker-process.h"
#include "platform/memory-blocks.h"
#include "platform/processors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Processors and memory: which there are, what they do, and switching them on and off. */

#define TOPIC "cpu"

/* ---- processors ---- */

static bool run_get_vcpus(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    g_autoptr(GArray) processors = processors_read(error);

    if (!processors)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < processors->len; i++) {
        const Processor *processor = &g_array_index(processors, Processor, i);
        json_writer_begin_object(reply, NULL);
        json_writer_integer(reply, "logical-id", processor->id);
        json_writer_boolean(reply, "online", processor->online);
        json_writer_boolean(reply, "can-offline", processor->can_offline);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

typedef struct {
    int64_t logical_id;
    bool online;
    bool can_offline;
} Switch;

static const Argument switch_members[] = {
    ARGUMENT("logical-id", ARGUMENT_INTEGER, REQUIRED, Switch, logical_id),
    ARGUMENT("online", ARGUMENT_BOOLEAN, REQUIRED, Switch, online),
    ARGUMENT("can-offline", ARGUMENT_BOOLEAN, OPTIONAL, Switch, can_offline),
    ARGUMENT_END,
};

typedef struct {
    GPtrArray *vcpus;
} SetVcpusArguments;

static const Argument set_vcpus_arguments[] = {
    ARGUMENT_STRUCT_OF("vcpus", ARGUMENT_STRUCTS, REQUIRED, SetVcpusArguments, vcpus,
                       switch_members, Switch),
    ARGUMENT_END,
};

/* The interface: how many were done before one failed; that is an error only when it is the first.
 */
static bool run_set_vcpus(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const SetVcpusArguments *set = arguments;

    for (unsigned i = 0; i < set->vcpus->len; i++) {
        const Switch *wanted = g_ptr_array_index(set->vcpus, i);
        g_autoptr(GError) problem = NULL;
        if (processor_set_online(wanted->logical_id, wanted->online, &problem))
            continue;
        if (i == 0) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return false;
        }
        log_warning(TOPIC, "%s", problem->message);
        json_writer_unsigned(reply, "return", i);
        return true;
    }
    json_writer_unsigned(reply, "return", set->vcpus->len);
    return true;
}

static bool run_get_cpustats(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    static const char *const names[PROCESSOR_TIMES] = {"user",   "nice",     "system",  "idle",
                                                       "iowait", "irq",      "softirq", "steal",
                                                       "guest",  "guestnice"};
    g_autoptr(GArray) all = processor_times_read(error);

    if (!all)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < all->len; i++) {
        const ProcessorTimes *times = &g_array_index(all, ProcessorTimes, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "type", "linux");
        json_writer_integer(reply, "cpu", times->id);
        for (unsigned column = 0; column < PROCESSOR_TIMES; column++)
            if (times->times_ms[column] >= 0)
                json_writer_integer(reply, names[column], times->times_ms[column]);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

static bool run_get_load(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    double load[3];

    if (getloadavg(load, 3) != 3) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot read the load averages");
        return false;
    }
    json_writer_begin_object(reply, "return");
    json_writer_number(reply, "load1m", load[0]);
    json_writer_number(reply, "load5m", load[1]);
    json_writer_number(reply, "load15m", load[2]);
    json_writer_end_object(reply);
    return true;
}

/* ---- memory ---- */

static bool run_get_memory_blocks(Agent *agent, const void *arguments, JsonWriter *reply,
                                  GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GArray) blocks = memory_blocks_read(&problem);

    /* A kernel without hotplug has none, as qemu-ga has it. */
    if (!blocks && !g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; blocks && i < blocks->len; i++) {
        const MemoryBlock *block = &g_array_index(blocks, MemoryBlock, i);
        json_writer_begin_object(reply, NULL);
        json_writer_unsigned(reply, "phys-index", block->index);
        json_writer_boolean(reply, "online", block->online);
        json_writer_boolean(reply, "can-offline", block->can_offline);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

static bool run_get_memory_block_info(Agent *agent, const void *arguments, JsonWriter *reply,
                                      GError **error)
{
    uint64_t size_bytes;

    if (!memory_blocks_read_size(&size_bytes, error))
        return false;
    json_writer_begin_object(reply, "return");
    json_writer_unsigned(reply, "size", size_bytes);
    json_writer_end_object(reply);
    return true;
}

typedef struct {
    uint64_t phys_index;
    bool online;
    bool can_offline;
} BlockSwitch;

static const Argument block_switch_members[] = {
    ARGUMENT("phys-index", ARGUMENT_UNSIGNED, REQUIRED, BlockSwitch, phys_index),
    ARGUMENT("online", ARGUMENT_BOOLEAN, REQUIRED, BlockSwitch, online),
    ARGUMENT("can-offline", ARGUMENT_BOOLEAN, OPTIONAL, BlockSwitch, can_offline),
    ARGUMENT_END,
};

typedef struct {
    GPtrArray *mem_blks;
} SetMemoryBlocksArguments;

static const Argument set_memory_blocks_arguments[] = {
    ARGUMENT_STRUCT_OF("mem-blks", ARGUMENT_STRUCTS, REQUIRED, SetMemoryBlocksArguments, mem_blks,
                       block_switch_members, BlockSwitch),
    ARGUMENT_END,
};

/* ---- switching memory, in a process ---- */

/* The kernel moves what lies in a block elsewhere, and tries until it succeeds or a signal comes
 * (linux/mm/memory_hotplug.c, offline_pages()). */
#define SWITCH_DEADLINE_MS (60 * 1000)

typedef struct {
    MemoryBlockResult result;
    int error_number;
} BlockSwitched;

static void switch_blocks(int result_fd, void *data)
{
    const SetMemoryBlocksArguments *set = data;

    for (unsigned i = 0; i < set->mem_blks->len; i++) {
        const BlockSwitch *wanted = g_ptr_array_index(set->mem_blks, i);
        BlockSwitched done = {0};
        done.result =
            memory_block_set_online(wanted->phys_index, wanted->online, &done.error_number);
        if (!worker_process_write(result_fd, &done, sizeof done))
            return;
    }
}

static void write_switched(JsonWriter *reply, uint64_t phys_index, const BlockSwitched *done)
{
    static const char *const results[] = {
        [MEMORY_BLOCK_DONE] = "success",
        [MEMORY_BLOCK_NOT_FOUND] = "not-found",
        [MEMORY_BLOCK_NOT_SUPPORTED] = "operation-not-supported",
        [MEMORY_BLOCK_FAILED] = "operation-failed",
    };

    json_writer_begin_object(reply, NULL);
    json_writer_unsigned(reply, "phys-index", phys_index);
    json_writer_string(reply, "response", results[done->result]);
    if (done->error_number != 0)
        json_writer_integer(reply, "error-code", done->error_number);
    json_writer_end_object(reply);
}

typedef struct {
    CommandCall *call;
    const SetMemoryBlocksArguments *set; /* the call's */
} BlocksCall;

static void on_blocks_switched(const char *results, size_t length, const GError *problem,
                               void *user_data)
{
    BlocksCall *blocks = user_data;
    JsonWriter *reply = command_call_reply(blocks->call);

    if (problem)
        log_warning(TOPIC, "switching memory: %s", problem->message);
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < blocks->set->mem_blks->len; i++) {
        const BlockSwitch *wanted = g_ptr_array_index(blocks->set->mem_blks, i);
        BlockSwitched done = {.result = MEMORY_BLOCK_FAILED, .error_number = EINTR};
        if ((i + 1) * sizeof done <= length)
            memcpy(&done, results + i * sizeof done, sizeof done);
        write_switched(reply, wanted->phys_index, &done);
    }
    json_writer_end_array(reply);
    command_call_finish(blocks->call, NULL);
    g_free(blocks);
}

static void start_set_memory_blocks(Agent *agent, const void *arguments, CommandCall *call)
{
    BlocksCall *blocks = g_new0(BlocksCall, 1);
    GError *error = NULL;

    *blocks = (BlocksCall){.call = call, .set = arguments};
    if (worker_process_start("quiesced-memory", switch_blocks, (void *)arguments,
                             SWITCH_DEADLINE_MS, on_blocks_switched, blocks, &error))
        return;
    command_call_finish(call, error);
    g_free(blocks);
}

const Command cpu_commands[] = {
    {.name = "guest-get-vcpus", .run = run_get_vcpus, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-set-vcpus",
     .arguments = set_vcpus_arguments,
     .arguments_size = sizeof(SetVcpusArguments),
     .run = run_set_vcpus},
    {.name = "guest-get-cpustats", .run = run_get_cpustats, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-get-load", .run = run_get_load, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-get-memory-blocks",
     .run = run_get_memory_blocks,
     .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-get-memory-block-info",
     .run = run_get_memory_block_info,
     .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-set-memory-blocks",
     .arguments = set_memory_blocks_arguments,
     .arguments_size = sizeof(SetMemoryBlocksArguments),
     .start = start_set_memory_blocks},
    {.name = NULL},
};
