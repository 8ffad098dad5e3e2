/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/child-process.h"
#include "agent/command.h"
#include "agent/log.h"
#include "platform/logins.h"

#include <string.h>

/* Who is logged in, and passwords. */

#define TOPIC "user"
#define CHPASSWD_DEADLINE_MS (30 * 1000)
#define CHPASSWD_OUTPUT_BYTES 4096

static bool run_get_users(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    g_autoptr(GPtrArray) logins = logins_read(error);

    if (!logins)
        return false;
    json_writer_begin_array(reply, "return");
    for (unsigned i = 0; i < logins->len; i++) {
        const Login *login = g_ptr_array_index(logins, i);
        json_writer_begin_object(reply, NULL);
        json_writer_string(reply, "user", login->user);
        json_writer_number(reply, "login-time", (double)login->since_us / G_USEC_PER_SEC);
        json_writer_end_object(reply);
    }
    json_writer_end_array(reply);
    return true;
}

/* ---- the password ---- */

typedef struct {
    char *username;
    ArgumentBytes password;
    bool crypted;
} PasswordArguments;

static const Argument password_arguments[] = {
    ARGUMENT("username", ARGUMENT_STRING, REQUIRED, PasswordArguments, username),
    ARGUMENT("password", ARGUMENT_BASE64, REQUIRED, PasswordArguments, password),
    ARGUMENT("crypted", ARGUMENT_BOOLEAN, REQUIRED, PasswordArguments, crypted),
    ARGUMENT_END,
};

typedef struct {
    CommandCall *call;
    ChildProcess *child;
    char *username;
} PasswordChange;

static void on_chpasswd_done(const ChildProcessEnd *end, void *user_data)
{
    PasswordChange *change = user_data;
    GError *error = NULL;

    if (end->error) {
        g_autofree char *said = g_strchomp(g_strdup(end->output));
        error = g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED,
                            "cannot set the password of '%s': chpasswd: %s%s%s", change->username,
                            end->error->message, *said ? ": " : "", said);
    } else {
        JsonWriter *reply = command_call_reply(change->call);
        json_writer_begin_object(reply, "return");
        json_writer_end_object(reply);
        log_info(TOPIC, "password of '%s' changed by the host", change->username);
    }
    command_call_finish(change->call, error);
    child_process_free(change->child);
    g_free(change->username);
    g_free(change);
}

/* chpasswd(8) reads lines of user:password. */
static bool check_password(const PasswordArguments *password, GError **error)
{
    const char *problem = NULL;

    if (strpbrk(password->username, ":\n") || !*password->username)
        problem = "forbidden characters in username";
    else if (memchr(password->password.bytes, '\n', password->password.length) ||
             memchr(password->password.bytes, '\0', password->password.length))
        problem = "forbidden characters in raw password";
    else if (strlen(password->username) + password->password.length + 2 > CHILD_PROCESS_INPUT_BYTES)
        problem = "username and password are too long";
    if (problem)
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_INVAL, "%s", problem);
    return !problem;
}

static const char *find_chpasswd(void)
{
    static const char *const paths[] = {"/usr/sbin/chpasswd", "/sbin/chpasswd",
                                        "/usr/bin/chpasswd"};

    for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++)
        if (g_file_test(paths[i], G_FILE_TEST_IS_EXECUTABLE))
            return paths[i];
    return NULL;
}

static bool start_chpasswd(const PasswordArguments *password, PasswordChange *change,
                           GError **error)
{
    const char *program = find_chpasswd();
    char line[CHILD_PROCESS_INPUT_BYTES];

    if (!program) {
        g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT,
                    "cannot set a password: the guest has no chpasswd (package passwd)");
        return false;
    }
    size_t name_bytes = strlen(password->username);
    size_t line_bytes = name_bytes + password->password.length + 2;
    memcpy(line, password->username, name_bytes);
    line[name_bytes] = ':';
    memcpy(line + name_bytes + 1, password->password.bytes, password->password.length);
    line[line_bytes - 1] = '\n';
    const char *const argv[] = {program, password->crypted ? "-e" : NULL, NULL};
    change->child =
        child_process_start_with_input(argv, line, line_bytes, CHPASSWD_DEADLINE_MS,
                                       CHPASSWD_OUTPUT_BYTES, on_chpasswd_done, change, error);
    explicit_bzero(line, sizeof line);
    return change->child != NULL;
}

static void start_set_user_password(Agent *agent, const void *arguments, CommandCall *call)
{
    const PasswordArguments *password = arguments;
    PasswordChange *change = g_new0(PasswordChange, 1);
    GError *error = NULL;

    change->call = call;
    change->username = g_strdup(password->username);
    bool started = check_password(password, &error) && start_chpasswd(password, change, &error);
    explicit_bzero(password->password.bytes, password->password.length);
    if (started)
        return;
    command_call_finish(call, error);
    g_free(change->username);
    g_free(change);
}

const Command user_commands[] = {
    {.name = "guest-get-users", .run = run_get_users, .flags = COMMAND_WHILE_FROZEN},
    {.name = "guest-set-user-password",
     .arguments = password_arguments,
     .arguments_size = sizeof(PasswordArguments),
     .start = start_set_user_password,
     .flags = COMMAND_SECRET_ARGUMENTS},
    {.name = NULL},
};
