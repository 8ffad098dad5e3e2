/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/worker-process.h"
#include "platform/filesystem-list.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* guest-fstrim: tells the disks what is not in use. A trim of a large disk takes minutes and cannot
 * be interrupted, so a process of its own does it, one at a time. */

typedef struct {
    int64_t minimum;
} TrimArguments;

static const Argument trim_arguments[] = {
    ARGUMENT("minimum", ARGUMENT_INTEGER, OPTIONAL, TrimArguments, minimum),
    ARGUMENT_END,
};

/* What the process says of one filesystem. */
typedef struct {
    int error_number;
    uint64_t trimmed_bytes;
    uint64_t minimum_bytes;
} TrimResult;

typedef struct {
    Agent *agent;
    CommandCall *call;
    GPtrArray *paths;
    uint64_t minimum_bytes;
} Trim;

/* ---- the process ---- */

static int trim(const char *path, struct fstrim_range *range)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    int error_number = ioctl(fd, FITRIM, range) < 0 ? errno : 0;
    close(fd);
    return error_number;
}

static void trim_all(int result_fd, void *data)
{
    const Trim *wanted = data;

    for (unsigned i = 0; i < wanted->paths->len; i++) {
        struct fstrim_range range = {.len = UINT64_MAX, .minlen = wanted->minimum_bytes};
        TrimResult result = {.error_number = trim(g_ptr_array_index(wanted->paths, i), &range)};
        result.trimmed_bytes = range.len;
        result.minimum_bytes = range.minlen;
        if (!worker_process_write(result_fd, &result, sizeof result))
            return;
    }
}

/* ---- the agent ---- */

static char *describe(const TrimResult *result)
{
    if (result->error_number == EOPNOTSUPP || result->error_number == ENOTTY)
        return g_strdup("trim not supported");
    return g_strdup_printf("failed to trim: %s", g_strerror(result->error_number));
}

static void write_result(JsonWriter *reply, const char *path, const TrimResult *result)
{
    json_writer_begin_object(reply, NULL);
    json_writer_string(reply, "path", path);
    if (result->error_number != 0) {
        g_autofree char *text = describe(result);
        json_writer_string(reply, "error", text);
    } else {
        json_writer_unsigned(reply, "trimmed", result->trimmed_bytes);
        json_writer_unsigned(reply, "minimum", result->minimum_bytes);
    }
    json_writer_end_object(reply);
}

static void write_results(const Trim *trim, const char *results)
{
    JsonWriter *reply = command_call_reply(trim->call);

    json_writer_begin_object(reply, "return");
    json_writer_begin_array(reply, "paths");
    for (unsigned i = 0; i < trim->paths->len; i++) {
        TrimResult result;
        memcpy(&result, results + i * sizeof result, sizeof result);
        write_result(reply, g_ptr_array_index(trim->paths, i), &result);
    }
    json_writer_end_array(reply);
    json_writer_end_object(reply);
}

static void trim_free(Trim *trim)
{
    g_clear_pointer(&trim->paths, g_ptr_array_unref);
    g_free(trim);
}

static void on_trimmed(const char *results, size_t length, const GError *problem, void *user_data)
{
    Trim *trim = user_data;
    unsigned n_done = (unsigned)(length / sizeof(TrimResult));
    GError *error = NULL;

    trim->agent->is_trimming = false;
    if (n_done == trim->paths->len)
        write_results(trim, results);
    else
        error = g_error_new(G_FILE_ERROR, G_FILE_ERROR_FAILED, "trimming ended at %s: %s",
                            (const char *)g_ptr_array_index(trim->paths, n_done),
                            problem ? problem->message : "its process is gone");
    command_call_finish(trim->call, error);
    trim_free(trim);
}

/* Each filesystem once, by a mount that can be reached. */
static GPtrArray *paths_to_trim(GError **error)
{
    g_autoptr(MountTable) mounts = mount_table_read(false, error);
    g_autoptr(BlockStack) stack = mounts ? block_stack_read(mounts, error) : NULL;

    if (!stack)
        return NULL;
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) filesystems = filesystem_list_build(mounts, stack);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    for (unsigned i = 0; i < filesystems->len; i++) {
        const ListedFilesystem *filesystem = g_ptr_array_index(filesystems, i);
        int64_t device = (int64_t)filesystem->mount->device;
        if (!filesystem->hidden && !filesystem->may_hang &&
            !filesystem->mount->superblock_read_only &&
            g_hash_table_add(seen, g_memdup2(&device, sizeof device)))
            g_ptr_array_add(paths, g_strdup(filesystem->mount->mount_point));
    }
    return paths;
}

static void start_fstrim(Agent *agent, const void *arguments, CommandCall *call)
{
    const TrimArguments *wanted = arguments;
    GError *error = NULL;

    if (agent->is_trimming) {
        command_call_finish(call, g_error_new(G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                                              "the filesystems are being trimmed already"));
        return;
    }
    Trim *trim = g_new0(Trim, 1);
    trim->agent = agent;
    trim->call = call;
    trim->minimum_bytes = (uint64_t)MAX(wanted->minimum, 0);
    trim->paths = paths_to_trim(&error);
    if (trim->paths &&
        worker_process_start("quiesced-trim", trim_all, trim, 0, on_trimmed, trim, &error)) {
        agent->is_trimming = true;
        return;
    }
    command_call_finish(call, error);
    trim_free(trim);
}

const Command fstrim_commands[] = {
    {.name = "guest-fstrim",
     .arguments = trim_arguments,
     .arguments_size = sizeof(TrimArguments),
     .start = start_fstrim},
    {.name = NULL},
};
