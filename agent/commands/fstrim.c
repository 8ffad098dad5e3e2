/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/log.h"
#include "platform/filesystem-list.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* guest-fstrim: tells the disks what is not in use. A trim of a large disk takes minutes and cannot
 * be interrupted, so a process of its own does it, one at a time. */

#define TOPIC "fstrim"

typedef struct {
    int64_t minimum;
} TrimArguments;

static const Argument trim_arguments[] = {
    ARGUMENT("minimum", ARGUMENT_INTEGER, OPTIONAL, TrimArguments, minimum),
    ARGUMENT_END,
};

/* What the process says of one filesystem. A pipe takes it whole (pipe(7), PIPE_BUF). */
typedef struct {
    unsigned index;
    int error_number;
    uint64_t trimmed_bytes;
    uint64_t minimum_bytes;
} TrimResult;

typedef struct {
    Agent *agent;
    CommandCall *call;
    GPtrArray *paths;
    GArray *results; /* of TrimResult */
    pid_t pid;
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

static G_NORETURN void trim_all(const GPtrArray *paths, uint64_t minimum_bytes, int results_fd)
{
    prctl(PR_SET_NAME, "quiesced-trim");
    for (unsigned i = 0; i < paths->len; i++) {
        struct fstrim_range range = {.len = UINT64_MAX, .minlen = minimum_bytes};
        TrimResult result = {.index = i};
        result.error_number = trim(g_ptr_array_index(paths, i), &range);
        result.trimmed_bytes = range.len;
        result.minimum_bytes = range.minlen;
        if (write(results_fd, &result, sizeof result) != sizeof result)
            break; /* nobody is interested any more */
    }
    _exit(0);
}

/* ---- the agent ---- */

static char *describe(const TrimResult *result)
{
    if (result->error_number == EOPNOTSUPP || result->error_number == ENOTTY)
        return g_strdup("trim not supported");
    return g_strdup_printf("failed to trim: %s", g_strerror(result->error_number));
}

static void write_results(const Trim *trim)
{
    JsonWriter *reply = command_call_reply(trim->call);

    json_writer_begin_object(reply, "return");
    json_writer_begin_array(reply, "paths");
    for (unsigned i = 0; i < trim->results->len; i++) {
        const TrimResult *result = &g_array_index(trim->results, TrimResult, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "path", g_ptr_array_index(trim->paths, result->index));
        if (result->error_number != 0) {
            g_autofree char *text = describe(result);
            json_writer_string(reply, "error", text);
        } else {
            json_writer_unsigned(reply, "trimmed", result->trimmed_bytes);
            json_writer_unsigned(reply, "minimum", result->minimum_bytes);
        }
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    json_writer_end_object(reply);
}

static void finish(Trim *trim)
{
    GError *error = NULL;

    waitpid(trim->pid, NULL, 0); /* its end of the pipe is closed: it has ended */
    trim->agent->is_trimming = false;
    if (trim->results->len == trim->paths->len)
        write_results(trim);
    else
        error = g_error_new(G_FILE_ERROR, G_FILE_ERROR_FAILED,
                            "the process that trims ended at %s, %u of %u filesystems are done",
                            (const char *)g_ptr_array_index(trim->paths, trim->results->len),
                            trim->results->len, trim->paths->len);
    command_call_finish(trim->call, error);
    g_ptr_array_unref(trim->paths);
    g_array_unref(trim->results);
    g_free(trim);
}

static gboolean on_result(int fd, GIOCondition condition, void *user_data)
{
    Trim *trim = user_data;
    TrimResult result;

    if (read(fd, &result, sizeof result) == sizeof result) {
        log_debug(TOPIC, "%s: %s", (const char *)g_ptr_array_index(trim->paths, result.index),
                  result.error_number ? g_strerror(result.error_number) : "done");
        g_array_append_val(trim->results, result);
        return G_SOURCE_CONTINUE;
    }
    close(fd);
    finish(trim);
    return G_SOURCE_REMOVE;
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

static bool fork_trim(Trim *trim, uint64_t minimum_bytes, GError **error)
{
    int ends[2];

    if (g_unix_open_pipe(ends, FD_CLOEXEC, error)) {
        trim->pid = fork();
        if (trim->pid == 0) {
            close(ends[0]);
            trim_all(trim->paths, minimum_bytes, ends[1]);
        }
        close(ends[1]);
        if (trim->pid > 0) {
            g_unix_fd_add(ends[0], G_IO_IN | G_IO_HUP, on_result, trim);
            return true;
        }
        close(ends[0]);
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "cannot fork a process to trim: %s", g_strerror(errno));
    }
    return false;
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
    trim->paths = paths_to_trim(&error);
    trim->results = g_array_new(FALSE, FALSE, sizeof(TrimResult));
    if (trim->paths && fork_trim(trim, (uint64_t)MAX(wanted->minimum, 0), &error)) {
        agent->is_trimming = true;
        return;
    }
    command_call_finish(call, error);
    g_clear_pointer(&trim->paths, g_ptr_array_unref);
    g_array_unref(trim->results);
    g_free(trim);
}

const Command fstrim_commands[] = {
    {.name = "guest-fstrim",
     .arguments = trim_arguments,
     .arguments_size = sizeof(TrimArguments),
     .start = start_fstrim},
    {.name = NULL},
};
