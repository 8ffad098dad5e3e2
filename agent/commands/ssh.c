/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/command.h"
#include "agent/worker-process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A user's ~/.ssh/authorized_keys (sshd(8)). The home is its user's: whatever lies there - links,
 * pipes, other people's files - is looked at and written to with the user's own rights and never
 * with root's, in a process that gives root up for good. Its home may lie on a server that does not
 * answer, too.
 */
#define DEADLINE_MS (30 * 1000)
#define FILE_MAX_BYTES (1024 * 1024)

typedef struct {
    char *username;
    char **keys;
    bool reset;
} SshArguments;

static const Argument get_arguments[] = {
    ARGUMENT("username", ARGUMENT_STRING, REQUIRED, SshArguments, username),
    ARGUMENT_END,
};
static const Argument add_arguments[] = {
    ARGUMENT("username", ARGUMENT_STRING, REQUIRED, SshArguments, username),
    ARGUMENT("keys", ARGUMENT_STRINGS, REQUIRED, SshArguments, keys),
    ARGUMENT("reset", ARGUMENT_BOOLEAN, OPTIONAL, SshArguments, reset),
    ARGUMENT_END,
};
static const Argument remove_arguments[] = {
    ARGUMENT("username", ARGUMENT_STRING, REQUIRED, SshArguments, username),
    ARGUMENT("keys", ARGUMENT_STRINGS, REQUIRED, SshArguments, keys),
    ARGUMENT_END,
};

/* ---- in the user's process ---- */

static bool set_file_error(GError **error, const char *verb, const char *path)
{
    int cause = errno;

    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause), "failed to %s '%s': %s", verb,
                path, g_strerror(cause));
    return false;
}

/* Becomes the user, for good. */
static bool become_user(const struct passwd *user, GError **error)
{
    if (getuid() == user->pw_uid && user->pw_uid == 0)
        return true;
    if (initgroups(user->pw_name, user->pw_gid) == 0 &&
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == 0 &&
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == 0 &&
        (user->pw_uid == 0 || setuid(0) != 0))
        return true;
    return set_file_error(error, "take on the rights of", user->pw_name);
}

static const struct passwd *look_up_user(const char *username, GError **error)
{
    errno = 0;
    const struct passwd *user = getpwnam(username);

    if (!user)
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "failed to lookup user '%s': %s",
                    username, errno ? g_strerror(errno) : "there is no such user");
    return user;
}

static bool check_regular(int fd, const char *path, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return set_file_error(error, "read", path);
    if (S_ISREG(st.st_mode) && st.st_size <= FILE_MAX_BYTES)
        return true;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                "failed to read '%s': it is no regular file of at most %d bytes", path,
                FILE_MAX_BYTES);
    return false;
}

/* The lines of the file; NULL with an error. */
static char **read_lines(const char *path, GError **error)
{
    g_autofree char *text = g_malloc(FILE_MAX_BYTES + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t length = 0;
    ssize_t got = 1;

    if (fd < 0) {
        set_file_error(error, "read", path);
        return NULL;
    }
    bool readable = check_regular(fd, path, error);
    while (readable && got > 0 && length < FILE_MAX_BYTES) {
        got = read(fd, text + length, FILE_MAX_BYTES - length);
        if (got < 0)
            readable = set_file_error(error, "read", path);
        else
            length += (size_t)got;
    }
    close(fd);
    text[length] = '\0';
    if (readable && strlen(text) != length) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "failed to read '%s': it holds a NUL byte, what follows it would be lost",
                    path);
        return NULL;
    }
    return readable ? g_strsplit(text, "\n", -1) : NULL;
}

static bool is_key(const char *line)
{
    return *line != '\0' && *line != '#';
}

static bool write_whole(int fd, const char *text)
{
    return worker_process_write(fd, text, strlen(text)) && fsync(fd) == 0;
}

/* A new file in its place: whoever logs in meanwhile sees the old keys or the new ones. */
static bool write_lines(const char *directory, const char *path, char **lines, GError **error)
{
    g_autofree char *joined = g_strjoinv("\n", lines);
    g_autofree char *text = *joined ? g_strconcat(joined, "\n", NULL) : g_strdup("");
    if (strlen(text) > FILE_MAX_BYTES) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "failed to write '%s': it would exceed %d bytes", path, FILE_MAX_BYTES);
        return false;
    }
    g_autofree char *temporary = g_build_filename(directory, ".authorized_keys.XXXXXX", NULL);
    int fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return set_file_error(error, "create", temporary);
    bool written = write_whole(fd, text) || set_file_error(error, "write", temporary);
    close(fd);
    if (written && rename(temporary, path) < 0)
        written = set_file_error(error, "replace", path);
    if (!written)
        unlink(temporary);
    return written;
}

static bool ensure_directory(const char *directory, GError **error)
{
    if (mkdir(directory, 0700) == 0 || errno == EEXIST)
        return true;
    return set_file_error(error, "create", directory);
}

static void copy_lines(GStrvBuilder *builder, char **lines, const char *const *without)
{
    /* The file's last line ends with a newline, after which there is nothing. */
    for (char **line = lines; line && *line; line++)
        if ((**line || line[1]) && !(without && g_strv_contains(without, *line)))
            g_strv_builder_add(builder, *line);
}

typedef struct {
    char *directory;
    char *path;
} SshFiles;

static bool get_keys(const SshFiles *files, const SshArguments *wanted, int result_fd,
                     GError **error)
{
    g_auto(GStrv) lines = read_lines(files->path, error);

    if (!lines)
        return false;
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (is_key(*line) && !(worker_process_write(result_fd, *line, strlen(*line)) &&
                               worker_process_write(result_fd, "\n", 1)))
            return true;
    }
    return true;
}

static bool add_keys(const SshFiles *files, const SshArguments *wanted, int result_fd,
                     GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) lines = wanted->reset ? g_new0(char *, 1) : read_lines(files->path, &problem);

    if (!lines && !g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    copy_lines(builder, lines, NULL);
    for (char **key = wanted->keys; *key; key++)
        if (!lines || !g_strv_contains((const char *const *)lines, *key))
            g_strv_builder_add(builder, *key);
    g_auto(GStrv) all = g_strv_builder_end(builder);
    return ensure_directory(files->directory, error) &&
           write_lines(files->directory, files->path, all, error);
}

static bool remove_keys(const SshFiles *files, const SshArguments *wanted, int result_fd,
                        GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) lines = read_lines(files->path, &problem);

    if (g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return true; /* as qemu-ga: they are not there any more */
    if (!lines) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return false;
    }
    copy_lines(builder, lines, (const char *const *)wanted->keys);
    g_auto(GStrv) left = g_strv_builder_end(builder);
    return write_lines(files->directory, files->path, left, error);
}

typedef bool (*SshDeed)(const SshFiles *files, const SshArguments *wanted, int result_fd,
                        GError **error);

typedef struct {
    const SshArguments *wanted;
    SshDeed deed;
} SshWork;

/* The result is what the deed has to say, or a NUL byte, which no line has, and an error's text. */
static void work(int result_fd, void *data)
{
    const SshWork *work = data;
    g_autoptr(GError) error = NULL;
    SshFiles files = {0};
    const struct passwd *user = look_up_user(work->wanted->username, &error);
    bool done = user != NULL && become_user(user, &error);

    if (done) {
        umask(077);
        files.directory = g_build_filename(user->pw_dir, ".ssh", NULL);
        files.path = g_build_filename(files.directory, "authorized_keys", NULL);
        done = work->deed(&files, work->wanted, result_fd, &error);
    }
    if (!done && error) {
        worker_process_write(result_fd, "", 1);
        worker_process_write(result_fd, error->message, strlen(error->message));
    }
}

/* ---- in the agent ---- */

typedef struct {
    CommandCall *call;
    SshWork work;
    char *username;
} SshCall;

static void write_keys(JsonWriter *reply, const char *text)
{
    g_auto(GStrv) keys = g_strsplit(text, "\n", -1);

    json_writer_begin_object(reply, "return");
    json_writer_begin_array(reply, "keys");
    for (char **key = keys; *key; key++)
        if (**key)
            json_writer_string(reply, NULL, *key);
    json_writer_end_array(reply);
    json_writer_end_object(reply);
}

static void answer(SshCall *call, const char *result)
{
    JsonWriter *reply = command_call_reply(call->call);

    if (call->work.deed == get_keys) {
        write_keys(reply, result);
        return;
    }
    json_writer_begin_object(reply, "return");
    json_writer_end_object(reply);
}

static void on_work_done(const char *result, size_t length, const GError *problem, void *user_data)
{
    SshCall *call = user_data;
    GError *error = NULL;
    const char *told = memchr(result, '\0', length);

    if (problem)
        error = g_error_new(G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot reach the keys of '%s': %s",
                            call->username, problem->message);
    else if (told)
        error = g_error_new(G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s", told + 1);
    else
        answer(call, result);
    command_call_finish(call->call, error);
    g_free(call->username);
    g_free(call);
}

static void start(CommandCall *command_call, const SshArguments *wanted, SshDeed deed)
{
    SshCall *call = g_new0(SshCall, 1);
    GError *error = NULL;

    *call = (SshCall){.call = command_call, .work = {wanted, deed}};
    call->username = g_strdup(wanted->username);
    if (worker_process_start("quiesced-ssh", work, &call->work, DEADLINE_MS, on_work_done, call,
                             &error))
        return;
    command_call_finish(command_call, error);
    g_free(call->username);
    g_free(call);
}

static void start_get(Agent *agent, const void *arguments, CommandCall *call)
{
    start(call, arguments, get_keys);
}

/* A key is a line, and none that sshd(8) takes for a comment. */
static void start_change(const SshArguments *wanted, CommandCall *call, SshDeed deed)
{
    for (char **key = wanted->keys; *key; key++)
        if (!is_key(*key) || strpbrk(*key, "\n\r")) {
            command_call_finish(call, g_error_new(G_FILE_ERROR, G_FILE_ERROR_INVAL,
                                                  "invalid OpenSSH public key: %s", *key));
            return;
        }
    start(call, wanted, deed);
}

static void start_add(Agent *agent, const void *arguments, CommandCall *call)
{
    start_change(arguments, call, add_keys);
}

static void start_remove(Agent *agent, const void *arguments, CommandCall *call)
{
    start(call, arguments, remove_keys);
}

const Command ssh_commands[] = {
    {.name = "guest-ssh-get-authorized-keys",
     .arguments = get_arguments,
     .arguments_size = sizeof(SshArguments),
     .start = start_get},
    {.name = "guest-ssh-add-authorized-keys",
     .arguments = add_arguments,
     .arguments_size = sizeof(SshArguments),
     .start = start_add},
    {.name = "guest-ssh-remove-authorized-keys",
     .arguments = remove_arguments,
     .arguments_size = sizeof(SshArguments),
     .start = start_remove},
    {.name = NULL},
};
