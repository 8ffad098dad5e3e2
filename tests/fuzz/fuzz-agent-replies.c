/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-values.h"
#include "prober/agent-profile.h"
#include "prober/block-counters.h"
#include "prober/guest-filesystems.h"
#include "prober/guest-window.h"
#include "prober/history-record.h"

/* What the prober reads out of the replies of an agent, or a QEMU, that is hostile: each reply is
 * shown to every reader. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static GuestWindow *window;

static void read_history(json_object *reply)
{
    HistoryRecord record = history_record_read(reply);
    g_autofree char *time = history_record_time(record.began_at_us);

    g_assert(time != NULL && history_end_name(record.end) != NULL);
}

static void read_filesystems(json_object *reply)
{
    g_autoptr(GuestFilesystems) guest = guest_filesystems_new(reply);

    g_assert(guest_filesystems_count_freezable(guest) <= guest->filesystems->len);
    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        guest_window_find(window, filesystem->mount_point);
        guest_window_find_skip(window, filesystem->mount_point);
        if (filesystem->mount_point)
            g_assert(guest_filesystems_find(guest, filesystem->mount_point) != NULL);
    }
}

static void read_counters(json_object *reply)
{
    g_autoptr(GHashTable) unwritable = block_counters_find_unwritable(reply);
    g_autoptr(GArray) sample = block_counters_read(reply, unwritable);

    g_assert(sample->len <= COUNTER_WATCH_MAX_DEVICES);
}

static void take_reply(json_object *reply)
{
    agent_profile_free(agent_profile_new(reply));
    guest_window_take_freeze(window, reply);
    guest_window_take_thaw(window, reply);
    read_filesystems(reply);
    read_history(reply);
    read_counters(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    window = guest_window_new();
    json_values_each(input, length, take_reply);
    g_clear_pointer(&window, guest_window_free);
    return 0;
}
