/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/exec-canary.h"
#include "prober/canary-stamps.h"
#include "prober/guest-exec.h"
#include "prober/probe-error.h"

#include <inttypes.h>
#include <string.h>

/* $1: mount point, $2: seconds to live. noclobber (-C) opens with O_EXCL, so nobody can put a
 * symbolic link in the way; the file is unlinked before the first write. */
static const char writer_script[] =
    "[ -w \"$1\" ] || { echo read-only; exit 0; }\n"
    "umask 077; set -C\n"
    "file=$1/.quiesce-probe-canary.$$\n"
    "exec 3>\"$file\" || exit 1\n"
    "rm -f \"$file\"\n"
    "read -r now rest </proc/uptime\n"
    "end=$((${now%.*} + $2))\n"
    "while [ \"${now%.*}\" -lt \"$end\" ]; do\n"
    "    read -r begun rest </proc/uptime\n"
    "    dd if=/proc/uptime bs=512 count=1 conv=sync,fsync >&3 2>/dev/null || exit 1\n"
    "    read -r now rest </proc/uptime\n"
    "    echo \"$begun $now\"\n"
    "    sleep 0.05 2>/dev/null || sleep 1\n"
    "done\n";

/* $@: pids of writers. Prints the clock, waits until each (that still runs) has written two more
 * blocks - the second begins after the first was printed -, prints the clock again. The position in
 * fdinfo (proc(5)) tells how much was written. */
static const char mark_script[] =
    "written() {\n"
    "    pos=0\n"
    "    { read -r label pos </proc/$1/fdinfo/3; } 2>/dev/null\n"
    "    echo \"${pos:-0}\"\n"
    "}\n"
    "read -r now rest </proc/uptime; echo \"$now\"\n"
    "tries=0\n"
    "for pid; do\n"
    "    start=$(written \"$pid\")\n"
    "    while [ -d \"/proc/$pid\" ] && [ \"$tries\" -lt 60 ] &&\n"
    "          [ \"$(written \"$pid\")\" -lt $((start + 1024)) ]; do\n"
    "        tries=$((tries + 1))\n"
    "        sleep 0.05 2>/dev/null || sleep 1\n"
    "    done\n"
    "done\n"
    "read -r now rest </proc/uptime; echo \"$now\"\n";

/* $@: pids. Only what is still one of our writers is ended: pids are used again. */
static const char stop_script[] =
    "for pid; do\n"
    "    grep -q quiesce-probe-canary \"/proc/$pid/cmdline\" 2>/dev/null && kill \"$pid\"\n"
    "done\n";

typedef struct {
    char *mount_point;
    int64_t pid; /* 0: could not be started */
    char *error_text;
} Writer;

struct ExecCanaries {
    AgentLink *link;
    int64_t timeout_ms;
    GPtrArray *writers;
    double before_s;
    double after_s;
    int64_t least_offset_us; /* between these lies the host's clock minus the guest's */
    int64_t most_offset_us;
    bool stopped;
};

static void writer_free(gpointer data)
{
    Writer *writer = data;

    g_free(writer->mount_point);
    g_free(writer->error_text);
    g_free(writer);
}

void exec_canaries_free(ExecCanaries *canaries)
{
    g_ptr_array_unref(canaries->writers);
    g_free(canaries);
}

/* Trouble of one writer is kept for its record; trouble on the way is an error. */
static bool start_writer(ExecCanaries *canaries, const char *mount_point, const char *lifetime,
                         GError **error)
{
    const char *const command[] = {"/bin/sh",   "-c",     writer_script, "quiesce-probe-canary",
                                   mount_point, lifetime, NULL};
    g_autoptr(GError) problem = NULL;
    Writer *writer = g_new0(Writer, 1);

    writer->mount_point = g_strdup(mount_point);
    g_ptr_array_add(canaries->writers, writer);
    if (canaries->writers->len > EXEC_CANARY_MAX) {
        writer->error_text = g_strdup_printf("no writer: only %d are started", EXEC_CANARY_MAX);
        return true;
    }
    if (guest_exec_start(canaries->link, command, &writer->pid, &problem))
        return true;
    if (!agent_link_is_answer(problem)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    writer->error_text = g_strdup(problem->message);
    return true;
}

ExecCanaries *exec_canaries_start(AgentLink *link, const char *const *mount_points,
                                  int64_t lifetime_s, int64_t timeout_ms, GError **error)
{
    g_autoptr(ExecCanaries) canaries = g_new0(ExecCanaries, 1);
    g_autofree char *lifetime = g_strdup_printf("%" PRId64, lifetime_s);

    canaries->link = link;
    canaries->timeout_ms = timeout_ms;
    canaries->least_offset_us = G_MININT64;
    canaries->most_offset_us = G_MAXINT64;
    canaries->writers = g_ptr_array_new_with_free_func(writer_free);
    for (; *mount_points; mount_points++) {
        if (!start_writer(canaries, *mount_points, lifetime, error)) {
            exec_canaries_stop(canaries);
            return NULL;
        }
    }
    return g_steal_pointer(&canaries);
}

/* Runs a script with the pids of all writers as arguments. */
static bool run_script(ExecCanaries *canaries, const char *script, GuestExecResult *result,
                       GError **error)
{
    const char *const head[] = {"/bin/sh", "-c", script, "quiesce-probe", NULL};
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    g_strv_builder_addv(builder, (const char **)head);
    for (unsigned i = 0; i < canaries->writers->len; i++) {
        const Writer *writer = g_ptr_array_index(canaries->writers, i);
        g_autofree char *pid = g_strdup_printf("%" PRId64, writer->pid);
        if (writer->pid > 0)
            g_strv_builder_add(builder, pid);
    }

    g_auto(GStrv) command = g_strv_builder_end(builder);
    return guest_exec_run(canaries->link, (const char *const *)command, canaries->timeout_ms,
                          result, error);
}

/* /proc/uptime is cut to hundredths of a second: it was up to that much later. */
#define UPTIME_STEP_US (10 * 1000)

static int64_t uptime_us(double uptime_s)
{
    return (int64_t)(CLAMP(uptime_s, 0, CANARY_MAX_UPTIME_S) * G_USEC_PER_SEC);
}

/* The guest's clock was read no earlier than the call began and no later than it ended. */
static void note_offset(ExecCanaries *canaries, int64_t least_us, int64_t most_us)
{
    canaries->least_offset_us = MAX(canaries->least_offset_us, least_us);
    canaries->most_offset_us = MIN(canaries->most_offset_us, most_us);
}

static bool read_clocks(ExecCanaries *canaries, double *first_s, double *last_s, GError **error)
{
    g_auto(GuestExecResult) result = {0};

    int64_t begin_us = g_get_monotonic_time();
    if (!run_script(canaries, mark_script, &result, error))
        return false;
    int64_t end_us = g_get_monotonic_time();
    g_auto(GStrv) lines = g_strsplit(result.output, "\n", 3);
    if (g_strv_length(lines) < 2) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_GUEST, "cannot read the guest's clock: %s",
                    result.errors);
        return false;
    }
    *first_s = g_ascii_strtod(lines[0], NULL);
    *last_s = g_ascii_strtod(lines[1], NULL);
    note_offset(canaries, begin_us - uptime_us(*first_s) - UPTIME_STEP_US,
                end_us - uptime_us(*last_s));
    return true;
}

bool exec_canaries_mark_before(ExecCanaries *canaries, GError **error)
{
    double first_s;

    return read_clocks(canaries, &first_s, &canaries->before_s, error);
}

bool exec_canaries_mark_after(ExecCanaries *canaries, GError **error)
{
    double last_s;

    return read_clocks(canaries, &canaries->after_s, &last_s, error);
}

void exec_canaries_stop(ExecCanaries *canaries)
{
    g_auto(GuestExecResult) result = {0};

    if (!canaries->stopped)
        run_script(canaries, stop_script, &result, NULL);
    canaries->stopped = true;
}

static CanaryRecord *failed_record(const char *mount_point, const char *reason)
{
    CanaryRecord *record = canary_record_new(mount_point);

    record->error_text = g_strdup(reason);
    return record;
}

static bool says_read_only(const GuestExecResult *result)
{
    return strstr(result->output, "read-only") || strstr(result->errors, "Read-only file system");
}

static CanaryRecord *collect_writer(ExecCanaries *canaries, const Writer *writer, double hold_s)
{
    CanaryMoments moments = {
        .before_s = canaries->before_s,
        .after_s = canaries->after_s,
        .hold_s = hold_s,
        .on_host = canaries->least_offset_us <= canaries->most_offset_us,
        .host_offset_us = canaries->least_offset_us / 2 + canaries->most_offset_us / 2,
    };
    g_auto(GuestExecResult) result = {0};
    g_autoptr(GError) problem = NULL;

    if (writer->pid <= 0)
        return failed_record(writer->mount_point, writer->error_text);
    if (!guest_exec_wait(canaries->link, writer->pid, canaries->timeout_ms, &result, &problem))
        return failed_record(writer->mount_point, problem->message);
    CanaryRecord *record = canary_stamps_read(writer->mount_point, result.output, &moments);
    record->read_only = says_read_only(&result);
    if (record->error_text && result.errors[0] != '\0') {
        g_free(record->error_text);
        record->error_text = g_strdup_printf("the writer in the guest failed: %s", result.errors);
    }
    return record;
}

GPtrArray *exec_canaries_collect(ExecCanaries *canaries, double hold_s)
{
    GPtrArray *records = g_ptr_array_new_with_free_func((GDestroyNotify)canary_record_free);

    exec_canaries_stop(canaries);
    for (unsigned i = 0; i < canaries->writers->len; i++)
        g_ptr_array_add(records,
                        collect_writer(canaries, g_ptr_array_index(canaries->writers, i), hold_s));
    return records;
}
