/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/render-json.h"
#include "prober/render-inspect.h"

#include <stdio.h>

JsonWriter *render_json_begin(const char *verb, const Target *target)
{
    JsonWriter *writer = json_writer_new();

    json_writer_begin_object(writer, NULL);
    json_writer_string(writer, "schema", RENDER_JSON_SCHEMA);
    json_writer_string(writer, "verb", verb);
    if (target) {
        json_writer_string(writer, "guest", target->name);
        json_writer_optional_string(writer, "socket", target->socket_path);
    }
    return writer;
}

void render_json_end(JsonWriter *writer)
{
    size_t length = 0;

    json_writer_end_object(writer);
    const char *text = json_writer_text(writer, &length);
    fwrite(text, 1, length, stdout);
    fputc('\n', stdout);
    json_writer_free(writer);
}

void render_json_agent(JsonWriter *writer, const AgentProfile *profile)
{
    json_writer_begin_object(writer, "agent");
    json_writer_string(writer, "version", profile->version);
    json_writer_boolean(writer, "quiesced", profile->is_quiesced);
    json_writer_end_object(writer);
}

static void write_duration(JsonWriter *writer, const char *name, double duration_ms)
{
    if (duration_ms >= 0)
        json_writer_number(writer, name, duration_ms);
}

static void write_filesystem(JsonWriter *writer, const WindowFilesystem *filesystem)
{
    json_writer_begin_object(writer, NULL);
    json_writer_optional_string(writer, "mountpoint", filesystem->mount_point);
    json_writer_optional_string(writer, "type", filesystem->fs_type);
    json_writer_optional_string(writer, "device", filesystem->device);
    json_writer_optional_string(writer, "uuid", filesystem->uuid);
    json_writer_optional_string(writer, "outcome", filesystem->outcome);
    json_writer_optional_string(writer, "error", filesystem->error_text);
    write_duration(writer, "presync-ms", filesystem->presync_ms);
    write_duration(writer, "freeze-ms", filesystem->freeze_ms);
    write_duration(writer, "held-ms", filesystem->held_ms);
    write_duration(writer, "thaw-ms", filesystem->thaw_ms);
    json_writer_end_object(writer);
}

static void write_filesystems(JsonWriter *writer, const GuestWindow *window)
{
    json_writer_begin_array(writer, "filesystems");
    for (unsigned i = 0; i < window->filesystems->len; i++)
        write_filesystem(writer, g_ptr_array_index(window->filesystems, i));
    json_writer_end_array(writer);
}

static void write_skips(JsonWriter *writer, const char *name, const GPtrArray *skips)
{
    json_writer_begin_array(writer, name);
    for (unsigned i = 0; i < skips->len; i++) {
        const WindowSkip *skip = g_ptr_array_index(skips, i);
        json_writer_begin_object(writer, NULL);
        json_writer_optional_string(writer, "mountpoint", skip->mount_point);
        json_writer_optional_string(writer, "type", skip->fs_type);
        json_writer_optional_string(writer, "device", skip->device);
        json_writer_optional_string(writer, "reason", skip->reason);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_hooks(JsonWriter *writer, const GuestWindow *window)
{
    json_writer_begin_array(writer, "hooks");
    for (unsigned i = 0; i < window->hooks->len; i++) {
        const WindowHook *hook = g_ptr_array_index(window->hooks, i);
        json_writer_begin_object(writer, NULL);
        json_writer_optional_string(writer, "path", hook->path);
        json_writer_string(writer, "event", hook->event);
        json_writer_boolean(writer, "ok", hook->ok);
        json_writer_number(writer, "duration-ms", hook->duration_ms);
        json_writer_optional_string(writer, "error", hook->error_text);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

void render_json_window(JsonWriter *writer, const GuestWindow *window)
{
    json_writer_begin_object(writer, "window");
    if (window->freeze_replied)
        json_writer_integer(writer, "frozen-count", window->frozen_count);
    json_writer_optional_string(writer, "freeze-error", window->freeze_error);
    if (window->hold_timeout_ms >= 0)
        json_writer_integer(writer, "hold-timeout-ms", window->hold_timeout_ms);
    if (window->thaw_replied)
        json_writer_integer(writer, "thawed-count", window->thawed_count);
    json_writer_optional_string(writer, "thaw-error", window->thaw_error);
    if (window->intact_known)
        json_writer_boolean(writer, "intact", window->intact);
    json_writer_optional_string(writer, "broken-reason", window->broken_reason);
    json_writer_number(writer, "freeze-ms", (double)window->freeze_us / 1000);
    json_writer_number(writer, "hold-ms", (double)window->hold_us / 1000);
    json_writer_number(writer, "thaw-ms", (double)window->thaw_us / 1000);
    if (window->detailed) {
        write_filesystems(writer, window);
        write_skips(writer, "skipped", window->skips);
        write_skips(writer, "not-covered", window->not_covered);
        write_hooks(writer, window);
    }
    json_writer_end_object(writer);
}

void render_json_evidence(JsonWriter *writer, const GPtrArray *pieces)
{
    json_writer_begin_array(writer, "evidence");
    for (unsigned i = 0; i < pieces->len; i++) {
        const Evidence *evidence = g_ptr_array_index(pieces, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "source", evidence_source_name(evidence->source));
        json_writer_string(writer, "stance", evidence_stance_name(evidence->stance));
        json_writer_string(writer, "summary", evidence->summary);
        json_writer_optional_string(writer, "remedy", evidence->remedy);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

void render_json_devices(JsonWriter *writer, const CounterWatch *watch)
{
    static const char *const phases[] = {"before", "freezing", "hold", "after"};

    json_writer_begin_array(writer, "devices");
    for (unsigned i = 0; i < watch->devices->len; i++) {
        const DeviceActivity *device = g_ptr_array_index(watch->devices, i);
        json_writer_begin_object(writer, NULL);
        json_writer_string(writer, "name", device->name);
        for (unsigned phase = 0; phase < COUNTER_PHASES; phase++) {
            const PhaseActivity *activity = &device->phases[phase];
            json_writer_begin_object(writer, phases[phase]);
            json_writer_unsigned(writer, "intervals", activity->intervals);
            json_writer_unsigned(writer, "intervals-with-writes", activity->moved);
            json_writer_unsigned(writer, "writes", activity->writes);
            json_writer_unsigned(writer, "bytes", activity->bytes);
            json_writer_end_object(writer);
        }
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

static void write_canaries(JsonWriter *writer, const GPtrArray *records)
{
    json_writer_begin_array(writer, "canaries");
    for (unsigned i = 0; i < records->len; i++) {
        const CanaryRecord *record = g_ptr_array_index(records, i);
        json_writer_begin_object(writer, NULL);
        json_writer_optional_string(writer, "mountpoint", record->mount_point);
        json_writer_integer(writer, "writes-before", record->writes_before);
        json_writer_integer(writer, "writes-during", record->writes_during);
        json_writer_integer(writer, "writes-after", record->writes_after);
        json_writer_number(writer, "longest-gap-ms", record->longest_gap_ms);
        json_writer_boolean(writer, "read-only", record->read_only);
        json_writer_optional_string(writer, "error", record->error_text);
        json_writer_end_object(writer);
    }
    json_writer_end_array(writer);
}

void render_json_verdict(JsonWriter *writer, const VerifyReport *report)
{
    json_writer_string(writer, "verdict", report->judged ? verdict_name(report->verdict) : NULL);
    json_writer_string(writer, "consistency",
                       report->judged ? consistency_name(report->consistency) : NULL);
    json_writer_optional_string(writer, "error", report->failure);
    json_writer_boolean(writer, "guest-may-be-frozen", report->unthawed);
}

void render_json_verify(JsonWriter *writer, const VerifyReport *report)
{
    if (report->profile)
        render_json_agent(writer, report->profile);
    json_writer_integer(writer, "began-at-us", report->began_at_us);
    render_json_verdict(writer, report);
    render_json_evidence(writer, report->evidence);
    render_json_window(writer, report->window);
    if (report->watch)
        render_json_devices(writer, report->watch);
    if (report->disks)
        render_json_disk_history(writer, report->disks);
    write_canaries(writer, report->canaries);
}
