/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/canary-run.h"

#include "agent/canary.h"
#include "agent/freeze-board.h"
#include "agent/log.h"

#include <sys/sysmacros.h>

#define TOPIC "canary"

struct CanaryRun {
    FreezePlan *plan; /* of the run under way, or the last; NULL before the first */
    Canary *canary;
    int64_t started_at; /* CLOCK_BOOTTIME, like the canaries' own moments */
    int64_t ends_at;
    int64_t wall_clock_shift;
    guint limit_source; /* 0 when nobody writes */
};

CanaryRun *canary_run_new(void)
{
    return g_new0(CanaryRun, 1);
}

static void forget(CanaryRun *run)
{
    g_clear_pointer(&run->canary, canary_stop);
    g_clear_pointer(&run->plan, freeze_plan_free);
}

void canary_run_free(CanaryRun *run)
{
    if (!run)
        return;
    g_clear_handle_id(&run->limit_source, g_source_remove);
    forget(run);
    g_free(run);
}

bool canary_run_is_running(const CanaryRun *run)
{
    return run->limit_source != 0;
}

static gboolean limit_is_reached(void *data)
{
    CanaryRun *run = data;

    run->limit_source = 0;
    canary_halt(run->canary);
    log_info(TOPIC, "canaries ended at their limit");
    return G_SOURCE_REMOVE;
}

static GError *nothing_to_write_to(const FreezePlan *plan)
{
    const FreezeSkip *skip = plan->skips->len > 0 ? g_ptr_array_index(plan->skips, 0) : NULL;

    return g_error_new(G_FILE_ERROR, G_FILE_ERROR_NOENT,
                       "no filesystem to write to: %s%s%s; name one that can be frozen",
                       skip ? skip->mount_point : "nothing can be frozen", skip ? ": " : "",
                       skip ? skip->reason : "");
}

bool canary_run_start(CanaryRun *run, FreezePlan *plan, int64_t limit_ms, GError **error)
{
    g_autoptr(FreezePlan) taken = plan;

    if (canary_run_is_running(run)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                    "canaries are running already, for another %.0f s: stop them first",
                    (double)(run->ends_at - freeze_clock_now()) / G_USEC_PER_SEC);
        return false;
    }
    if (plan->targets->len == 0) {
        g_propagate_error(error, nothing_to_write_to(plan));
        return false;
    }
    Canary *canary = canary_start(plan, error);
    if (!canary)
        return false;
    forget(run);
    run->canary = canary;
    run->plan = g_steal_pointer(&taken);
    run->started_at = freeze_clock_now();
    run->ends_at = run->started_at + limit_ms * 1000;
    run->wall_clock_shift = g_get_real_time() - run->started_at;
    run->limit_source = g_timeout_add((guint)limit_ms, limit_is_reached, run);
    return true;
}

void canary_run_stop(CanaryRun *run)
{
    if (!canary_run_is_running(run))
        return;
    g_clear_handle_id(&run->limit_source, g_source_remove);
    canary_halt(run->canary);
}

static void write_moment(const CanaryRun *run, JsonWriter *writer, const char *name, int64_t moment)
{
    if (moment != 0)
        json_writer_integer(writer, name, moment + run->wall_clock_shift);
}

static void write_filesystem(const CanaryRun *run, JsonWriter *writer, unsigned index)
{
    const FreezeTarget *target = g_ptr_array_index(run->plan->targets, index);
    g_autofree char *number =
        g_strdup_printf("%u:%u", major(target->device), minor(target->device));
    CanaryReport report;

    canary_report(run->canary, index, 0, 0, &report);
    g_autofree char *error = report.error;
    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "mountpoint", target->mount_point);
    json_writer_string(writer, "type", target->fs_type);
    json_writer_string(writer, "device", target->source);
    json_writer_string(writer, "device-number", number);
    json_writer_unsigned(writer, "writes", report.writes_before);
    write_moment(run, writer, "last-write-at-us", report.last_write_at);
    json_writer_number(writer, "longest-gap-ms", (double)report.longest_gap_us / 1000);
    write_moment(run, writer, "gap-start-at-us", report.gap_start_at);
    write_moment(run, writer, "gap-end-at-us", report.gap_end_at);
    json_writer_optional_string(writer, "error", error);
    json_writer_end_object(writer);
}

void canary_run_write(const CanaryRun *run, JsonWriter *writer, const char *name)
{
    bool running = canary_run_is_running(run);

    json_writer_begin_object(writer, name);
    json_writer_boolean(writer, "running", running);
    write_moment(run, writer, "started-at-us", run->started_at);
    if (running)
        json_writer_number(writer, "limit-left-ms",
                           (double)MAX(0, run->ends_at - freeze_clock_now()) / 1000);
    json_writer_begin_array(writer, "filesystems");
    for (unsigned i = 0; run->plan && i < run->plan->targets->len; i++)
        write_filesystem(run, writer, i);
    json_writer_end_array(writer);
    json_writer_end_object(writer);
}
