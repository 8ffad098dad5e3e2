/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/file-handles.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files of the guest: opened, read, written by the host. Contents travel as base64. */

#define READ_DEFAULT_BYTES 4096
/* As qemu-ga: its base64 form still fits a message. */
#define READ_MAX_BYTES (48 * 1024 * 1024)
/* A multiple of three, so that no group of base64 is torn. */
#define READ_CHUNK_BYTES (192 * 1024)

static bool fail(GError **error, int cause, const char *what)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause), "%s: %s", what,
                g_strerror(cause));
    return false;
}

static bool refuse_count(GError **error, int64_t count)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "value '%" G_GINT64_FORMAT "' is invalid for argument count", count);
    return false;
}

static void write_nothing(JsonWriter *reply)
{
    json_writer_begin_object(reply, "return");
    json_writer_end_object(reply);
}

typedef struct {
    char *path;
    char *mode;
} OpenArguments;

static const Argument open_arguments[] = {
    ARGUMENT("path", ARGUMENT_STRING, REQUIRED, OpenArguments, path),
    ARGUMENT("mode", ARGUMENT_STRING, OPTIONAL, OpenArguments, mode),
    ARGUMENT_END,
};

static bool run_open(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const OpenArguments *open = arguments;
    int64_t handle =
        file_handles_open(agent->file_handles, open->path, open->mode ? open->mode : "r", error);

    if (handle < 0)
        return false;
    json_writer_integer(reply, "return", handle);
    return true;
}

typedef struct {
    int64_t handle;
} HandleArguments;

static const Argument handle_arguments[] = {
    ARGUMENT("handle", ARGUMENT_INTEGER, REQUIRED, HandleArguments, handle),
    ARGUMENT_END,
};

static bool run_close(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const HandleArguments *close = arguments;

    if (!file_handles_close(agent->file_handles, close->handle, error))
        return false;
    write_nothing(reply);
    return true;
}

/* There is no buffer of ours to flush: what was written is with the kernel already. */
static bool run_flush(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const HandleArguments *flush = arguments;

    if (file_handles_find(agent->file_handles, flush->handle, error) < 0)
        return false;
    write_nothing(reply);
    return true;
}

typedef struct {
    int64_t handle;
    int64_t count;
    bool has_count;
} ReadArguments;

static const Argument read_arguments[] = {
    ARGUMENT("handle", ARGUMENT_INTEGER, REQUIRED, ReadArguments, handle),
    ARGUMENT_WITH_PRESENCE("count", ARGUMENT_INTEGER, ReadArguments, count, has_count),
    ARGUMENT_END,
};

/* Room for what is going to come, and not for what a host merely asks for: 48 MB of a small file.
 * Files of /proc say they are empty. */
static size_t expected_bytes(int fd, size_t wanted)
{
    struct stat st;
    off_t position = lseek(fd, 0, SEEK_CUR);

    if (position < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= position)
        return 0;
    return MIN(wanted, (size_t)(st.st_size - position));
}

/* Reads into the reply until wanted bytes, the end, or nothing more for now; *errno_value tells why
 * it stopped short otherwise. */
static size_t read_into(JsonWriter *reply, int fd, size_t wanted, bool *eof, int *errno_value)
{
    size_t chunk_bytes = MIN(wanted, READ_CHUNK_BYTES);
    g_autofree uint8_t *chunk = g_malloc(chunk_bytes);
    size_t done = 0;

    while (done < wanted) {
        ssize_t got = read(fd, chunk, MIN(chunk_bytes, wanted - done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            *eof = got == 0;
            *errno_value = got < 0 ? errno : 0;
            break;
        }
        json_writer_append_base64(reply, chunk, (size_t)got);
        done += (size_t)got;
    }
    return done;
}

static bool run_read(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const ReadArguments *read = arguments;
    int64_t count = read->has_count ? read->count : READ_DEFAULT_BYTES;
    int errno_value = 0;
    bool eof = false;
    int fd = file_handles_find(agent->file_handles, read->handle, error);

    if (fd < 0)
        return false;
    if (count < 0 || count > READ_MAX_BYTES)
        return refuse_count(error, count);

    json_writer_begin_object(reply, "return");
    json_writer_begin_base64(reply, "buf-b64", expected_bytes(fd, (size_t)count));
    size_t done = read_into(reply, fd, (size_t)count, &eof, &errno_value);
    json_writer_end_base64(reply);
    json_writer_unsigned(reply, "count", done);
    json_writer_boolean(reply, "eof", eof);
    json_writer_end_object(reply);
    /* What a pipe had to give is not thrown away because there is no more for now. */
    if (errno_value != 0 && (done == 0 || errno_value != EAGAIN))
        return fail(error, errno_value, "failed to read file");
    return true;
}

typedef struct {
    int64_t handle;
    ArgumentBytes content;
    int64_t count;
    bool has_count;
} WriteArguments;

static const Argument write_arguments[] = {
    ARGUMENT("handle", ARGUMENT_INTEGER, REQUIRED, WriteArguments, handle),
    ARGUMENT("buf-b64", ARGUMENT_BASE64, REQUIRED, WriteArguments, content),
    ARGUMENT_WITH_PRESENCE("count", ARGUMENT_INTEGER, WriteArguments, count, has_count),
    ARGUMENT_END,
};

static size_t write_bytes(int fd, const uint8_t *bytes, size_t length, int *errno_value)
{
    size_t done = 0;

    while (done < length) {
        ssize_t put = write(fd, bytes + done, length - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            *errno_value = put < 0 ? errno : 0; /* a driver may take nothing for ever: 0 */
            break;
        }
        done += (size_t)put;
    }
    return done;
}

static bool run_write(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const WriteArguments *write = arguments;
    size_t length = write->content.length;
    int errno_value = 0;
    int fd = file_handles_find(agent->file_handles, write->handle, error);

    if (fd < 0)
        return false;
    if (write->has_count && (write->count < 0 || (uint64_t)write->count > length))
        return refuse_count(error, write->count);
    if (write->has_count)
        length = (size_t)write->count;

    size_t done = write_bytes(fd, write->content.bytes, length, &errno_value);
    /* A pipe that is full took the beginning: count tells how much. */
    if (errno_value != 0 && (done == 0 || errno_value != EAGAIN))
        return fail(error, errno_value, "failed to write to file");
    json_writer_begin_object(reply, "return");
    json_writer_unsigned(reply, "count", done);
    json_writer_boolean(reply, "eof", false);
    json_writer_end_object(reply);
    return true;
}

/* QGA_SEEK_SET, QGA_SEEK_CUR, QGA_SEEK_END of the interface have these values, too. */
static const char *const whence_names[] = {"set", "cur", "end", NULL};
static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};

static const Argument whence_variants[] = {
    ARGUMENT("value", ARGUMENT_INTEGER, REQUIRED, ArgumentAlternate, integer),
    ARGUMENT_ENUM_OF("name", REQUIRED, ArgumentAlternate, enumeration, whence_names),
    ARGUMENT_END,
};

typedef struct {
    int64_t handle;
    int64_t offset;
    ArgumentAlternate whence;
} SeekArguments;

static const Argument seek_arguments[] = {
    ARGUMENT("handle", ARGUMENT_INTEGER, REQUIRED, SeekArguments, handle),
    ARGUMENT("offset", ARGUMENT_INTEGER, REQUIRED, SeekArguments, offset),
    ARGUMENT_ALTERNATE_OF("whence", REQUIRED, SeekArguments, whence, "GuestFileWhence",
                          whence_variants),
    ARGUMENT_END,
};

static bool run_seek(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    const SeekArguments *seek = arguments;
    bool by_number = seek->whence.variant->type == ARGUMENT_INTEGER;
    int64_t whence = by_number ? seek->whence.integer : seek->whence.enumeration;
    int fd = file_handles_find(agent->file_handles, seek->handle, error);

    if (fd < 0)
        return false;
    if (whence < 0 || whence >= (int64_t)G_N_ELEMENTS(whences)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "invalid whence code %" G_GINT64_FORMAT, whence);
        return false;
    }
    off_t position = lseek(fd, seek->offset, whences[whence]);
    if (position < 0)
        return fail(error, errno, "failed to seek file");
    json_writer_begin_object(reply, "return");
    json_writer_integer(reply, "position", position);
    json_writer_boolean(reply, "eof", false);
    json_writer_end_object(reply);
    return true;
}

const Command file_commands[] = {
    {.name = "guest-file-open",
     .arguments = open_arguments,
     .arguments_size = sizeof(OpenArguments),
     .run = run_open},
    {.name = "guest-file-close",
     .arguments = handle_arguments,
     .arguments_size = sizeof(HandleArguments),
     .run = run_close},
    {.name = "guest-file-read",
     .arguments = read_arguments,
     .arguments_size = sizeof(ReadArguments),
     .run = run_read},
    {.name = "guest-file-write",
     .arguments = write_arguments,
     .arguments_size = sizeof(WriteArguments),
     .run = run_write},
    {.name = "guest-file-seek",
     .arguments = seek_arguments,
     .arguments_size = sizeof(SeekArguments),
     .run = run_seek},
    {.name = "guest-file-flush",
     .arguments = handle_arguments,
     .arguments_size = sizeof(HandleArguments),
     .run = run_flush},
    {.name = NULL},
};
