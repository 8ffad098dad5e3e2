/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/guest-window.h"
#include "prober/json-field.h"

CanaryRecord *canary_record_new(const char *mount_point)
{
    CanaryRecord *record = g_new0(CanaryRecord, 1);

    record->mount_point = g_strdup(mount_point);
    return record;
}

void canary_record_free(CanaryRecord *record)
{
    g_free(record->mount_point);
    g_free(record->error_text);
    g_clear_pointer(&record->written_at_us, g_array_unref);
    g_free(record);
}

static void filesystem_free(gpointer data)
{
    WindowFilesystem *filesystem = data;

    g_free(filesystem->key);
    g_free(filesystem->mount_point);
    g_free(filesystem->fs_type);
    g_free(filesystem->device);
    g_free(filesystem->uuid);
    g_free(filesystem->outcome);
    g_free(filesystem->error_text);
    g_clear_pointer(&filesystem->canary, canary_record_free);
    g_free(filesystem);
}

static void skip_free(gpointer data)
{
    WindowSkip *skip = data;

    g_free(skip->mount_point);
    g_free(skip->fs_type);
    g_free(skip->device);
    g_free(skip->reason);
    g_free(skip);
}

static void hook_free(gpointer data)
{
    WindowHook *hook = data;

    g_free(hook->path);
    g_free(hook->error_text);
    g_free(hook);
}

GuestWindow *guest_window_new(void)
{
    GuestWindow *window = g_new0(GuestWindow, 1);

    window->hold_timeout_ms = -1;
    window->filesystems = g_ptr_array_new_with_free_func(filesystem_free);
    window->skips = g_ptr_array_new_with_free_func(skip_free);
    window->not_covered = g_ptr_array_new_with_free_func(skip_free);
    window->hooks = g_ptr_array_new_with_free_func(hook_free);
    return window;
}

void guest_window_free(GuestWindow *window)
{
    g_free(window->freeze_error);
    g_free(window->other_answer);
    g_free(window->thaw_error);
    g_free(window->broken_reason);
    g_ptr_array_unref(window->filesystems);
    g_ptr_array_unref(window->skips);
    g_ptr_array_unref(window->not_covered);
    g_ptr_array_unref(window->hooks);
    g_free(window);
}

const WindowFilesystem *guest_window_find(const GuestWindow *window, const char *mount_point)
{
    for (unsigned i = 0; i < window->filesystems->len; i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(window->filesystems, i);
        if (g_strcmp0(filesystem->mount_point, mount_point) == 0)
            return filesystem;
    }
    return NULL;
}

const WindowSkip *guest_window_find_skip(const GuestWindow *window, const char *mount_point)
{
    for (unsigned i = 0; i < window->skips->len; i++) {
        const WindowSkip *skip = g_ptr_array_index(window->skips, i);
        if (g_strcmp0(skip->mount_point, mount_point) == 0)
            return skip;
    }
    return NULL;
}

/* The thaw's reply speaks of the filesystems that the freeze's reply named: one record for both. */
static WindowFilesystem *filesystem_for(GuestWindow *window, json_object *element)
{
    const char *key = json_field_string(element, "device-number");

    if (!key)
        key = json_field_string(element, "mountpoint");
    for (unsigned i = 0; i < window->filesystems->len; i++) {
        WindowFilesystem *known = g_ptr_array_index(window->filesystems, i);
        if (key && g_strcmp0(known->key, key) == 0)
            return known;
    }

    WindowFilesystem *filesystem = g_new0(WindowFilesystem, 1);
    filesystem->key = g_strdup(key);
    filesystem->mount_point = g_strdup(json_field_string(element, "mountpoint"));
    filesystem->fs_type = g_strdup(json_field_string(element, "type"));
    filesystem->device = g_strdup(json_field_string(element, "device"));
    filesystem->uuid = g_strdup(json_field_string(element, "uuid"));
    filesystem->presync_ms = -1;
    filesystem->freeze_ms = -1;
    filesystem->held_ms = -1;
    filesystem->thaw_ms = -1;
    g_ptr_array_add(window->filesystems, filesystem);
    return filesystem;
}

static CanaryRecord *canary_read(json_object *object, const char *mount_point)
{
    CanaryRecord *record = canary_record_new(mount_point);
    const char *error_text = json_field_string(object, "error");
    bool complete = json_field_integer(object, "writes-before", &record->writes_before);

    complete = json_field_integer(object, "writes-during", &record->writes_during) && complete;
    complete = json_field_integer(object, "writes-after", &record->writes_after) && complete;
    complete = json_field_number(object, "longest-gap-ms", &record->longest_gap_ms) && complete;
    json_field_integer(object, "gap-start-at-us", &record->gap_start_at_us);
    json_field_integer(object, "gap-end-at-us", &record->gap_end_at_us);
    if (error_text)
        record->error_text = g_strdup(error_text);
    else if (!complete)
        record->error_text = g_strdup("the agent's numbers are incomplete");
    return record;
}

static void take_hooks(GuestWindow *window, json_object *reply, const char *event)
{
    json_object *list = json_field_array(reply, "hooks");

    for (size_t i = 0; i < json_field_length(list, GUEST_WINDOW_MAX_LIST); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        WindowHook *hook = g_new0(WindowHook, 1);
        hook->path = g_strdup(json_field_string(element, "path"));
        hook->event = event;
        hook->error_text = g_strdup(json_field_string(element, "error"));
        json_field_boolean(element, "ok", &hook->ok);
        json_field_number(element, "duration-ms", &hook->duration_ms);
        g_ptr_array_add(window->hooks, hook);
    }
}

static void take_skips(GPtrArray *skips, json_object *reply, const char *name)
{
    json_object *list = json_field_array(reply, name);

    for (size_t i = 0; i < json_field_length(list, GUEST_WINDOW_MAX_LIST); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        WindowSkip *skip = g_new0(WindowSkip, 1);
        skip->mount_point = g_strdup(json_field_string(element, "mountpoint"));
        skip->fs_type = g_strdup(json_field_string(element, "type"));
        skip->device = g_strdup(json_field_string(element, "device"));
        skip->reason = g_strdup(json_field_string(element, "reason"));
        g_ptr_array_add(skips, skip);
    }
}

/* A bare number, or the member "count" of an object. */
static bool read_count(GuestWindow *window, json_object *reply, int64_t *count)
{
    if (json_object_is_type(reply, json_type_int)) {
        *count = json_object_get_int64(reply);
        return true;
    }
    window->detailed = json_field_integer(reply, "count", count);
    return window->detailed;
}

bool guest_window_take_freeze(GuestWindow *window, json_object *reply)
{
    json_object *list = json_field_array(reply, "filesystems");

    if (!read_count(window, reply, &window->frozen_count))
        return false;
    window->freeze_replied = true;
    json_field_integer(reply, "hold-timeout-ms", &window->hold_timeout_ms);
    for (size_t i = 0; i < json_field_length(list, GUEST_WINDOW_MAX_LIST); i++) {
        json_object *element = json_object_array_get_idx(list, i);
        WindowFilesystem *filesystem = filesystem_for(window, element);
        json_field_number(element, "presync-ms", &filesystem->presync_ms);
        json_field_number(element, "freeze-ms", &filesystem->freeze_ms);
        json_field_integer(element, "frozen-at-us", &filesystem->frozen_at_us);
    }
    take_skips(window->skips, reply, "skipped");
    take_hooks(window, reply, "freeze");
    return true;
}

static void take_thawed_filesystem(GuestWindow *window, json_object *element)
{
    WindowFilesystem *filesystem = filesystem_for(window, element);
    json_object *canary = json_field_object(element, "canary");

    g_free(filesystem->outcome);
    filesystem->outcome = g_strdup(json_field_string(element, "outcome"));
    g_free(filesystem->error_text);
    filesystem->error_text = g_strdup(json_field_string(element, "error"));
    json_field_number(element, "held-ms", &filesystem->held_ms);
    json_field_number(element, "thaw-ms", &filesystem->thaw_ms);
    json_field_integer(element, "frozen-at-us", &filesystem->frozen_at_us);
    json_field_integer(element, "thawed-at-us", &filesystem->thawed_at_us);
    if (canary) {
        g_clear_pointer(&filesystem->canary, canary_record_free);
        filesystem->canary = canary_read(canary, filesystem->mount_point);
    }
}

bool guest_window_take_thaw(GuestWindow *window, json_object *reply)
{
    json_object *list = json_field_array(reply, "filesystems");
    const char *broken_reason = json_field_string(reply, "broken-reason");

    if (!read_count(window, reply, &window->thawed_count))
        return false;
    window->thaw_replied = true;
    window->intact_known = json_field_boolean(reply, "intact", &window->intact);
    g_free(window->broken_reason);
    window->broken_reason = g_strdup(broken_reason);
    for (size_t i = 0; i < json_field_length(list, GUEST_WINDOW_MAX_LIST); i++)
        take_thawed_filesystem(window, json_object_array_get_idx(list, i));
    take_skips(window->not_covered, reply, "not-covered");
    take_hooks(window, reply, "thaw");
    return true;
}
