/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/child-process.h"
#include "agent/command.h"
#include "agent/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The guest's end and sleep. What worked is not answered (the interface's success-response is
 * false): the host sees it. */

#define TOPIC "power"
#define DEADLINE_MS (60 * 1000)
#define OUTPUT_BYTES 4096
#define WORDS_MAX 6

/* A way to do it: tried when its program is there and, for sleep, its service manager runs. */
typedef struct {
    bool needs_systemd;
    const char *argv[WORDS_MAX];
} Way;

typedef struct {
    const char *name; /* for people: "power down" */
    const Way *ways;
} Deed;

#define REASON "the host asks for it"

static const Way powerdown_ways[] = {
    {.argv = {"/sbin/shutdown", "-h", "-P", "+0", REASON}},
    {.argv = {"/sbin/poweroff"}},
    {.argv = {"/bin/poweroff"}},
    {.argv = {NULL}},
};
static const Way halt_ways[] = {
    {.argv = {"/sbin/shutdown", "-h", "-H", "+0", REASON}},
    {.argv = {"/sbin/halt"}},
    {.argv = {"/bin/halt"}},
    {.argv = {NULL}},
};
static const Way reboot_ways[] = {
    {.argv = {"/sbin/shutdown", "-r", "+0", REASON}},
    {.argv = {"/sbin/reboot"}},
    {.argv = {"/bin/reboot"}},
    {.argv = {NULL}},
};
static const Way ram_ways[] = {
    {.needs_systemd = true, .argv = {"/usr/bin/systemctl", "suspend"}},
    {.needs_systemd = true, .argv = {"/bin/systemctl", "suspend"}},
    {.argv = {"/usr/sbin/pm-suspend"}},
    {.argv = {NULL}},
};
static const Way disk_ways[] = {
    {.needs_systemd = true, .argv = {"/usr/bin/systemctl", "hibernate"}},
    {.needs_systemd = true, .argv = {"/bin/systemctl", "hibernate"}},
    {.argv = {"/usr/sbin/pm-hibernate"}},
    {.argv = {NULL}},
};
static const Way hybrid_ways[] = {
    {.needs_systemd = true, .argv = {"/usr/bin/systemctl", "hybrid-sleep"}},
    {.needs_systemd = true, .argv = {"/bin/systemctl", "hybrid-sleep"}},
    {.argv = {"/usr/sbin/pm-suspend-hybrid"}},
    {.argv = {NULL}},
};

/* sd_booted(3) */
static bool systemd_runs(void)
{
    return g_file_test("/run/systemd/system", G_FILE_TEST_IS_DIR);
}

static const Way *find_way(const Way *ways)
{
    for (; ways->argv[0]; ways++)
        if (g_file_test(ways->argv[0], G_FILE_TEST_IS_EXECUTABLE) &&
            (!ways->needs_systemd || systemd_runs()))
            return ways;
    return NULL;
}

/* ---- running a program ---- */

typedef struct {
    CommandCall *call;
    ChildProcess *child;
    const Deed *deed;
    const Way *way;
} Attempt;

static GError *attempt_error(const Attempt *attempt, const ChildProcessEnd *end)
{
    g_autofree char *said = g_strchomp(g_strdup(end->output));

    return g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "cannot %s: %s: %s%s%s",
                       attempt->deed->name, attempt->way->argv[0], end->error->message,
                       *said ? ": " : "", said);
}

static void on_attempt_done(const ChildProcessEnd *end, void *user_data)
{
    Attempt *attempt = user_data;
    GError *error = end->error ? attempt_error(attempt, end) : NULL;

    if (error)
        log_error(TOPIC, "%s", error->message);
    command_call_finish(attempt->call, error);
    child_process_free(attempt->child);
    g_free(attempt);
}

static void run_way(CommandCall *call, const Deed *deed, const Way *way)
{
    Attempt *attempt = g_new0(Attempt, 1);
    GError *error = NULL;

    log_info(TOPIC, "%s, by %s", deed->name, way->argv[0]);
    *attempt = (Attempt){.call = call, .deed = deed, .way = way};
    attempt->child =
        child_process_start(way->argv, DEADLINE_MS, OUTPUT_BYTES, on_attempt_done, attempt, &error);
    if (attempt->child)
        return;
    g_prefix_error(&error, "cannot %s: %s: ", deed->name, way->argv[0]);
    command_call_finish(call, error);
    g_free(attempt);
}

/* ---- shutdown ---- */

typedef struct {
    char *mode;
} ShutdownArguments;

static const Argument shutdown_arguments[] = {
    ARGUMENT("mode", ARGUMENT_STRING, OPTIONAL, ShutdownArguments, mode),
    ARGUMENT_END,
};

static const struct {
    const char *mode;
    Deed deed;
} shutdown_modes[] = {
    {"powerdown", {"power down", powerdown_ways}},
    {"halt", {"halt", halt_ways}},
    {"reboot", {"reboot", reboot_ways}},
};

static void start_shutdown(Agent *agent, const void *arguments, CommandCall *call)
{
    const ShutdownArguments *shutdown = arguments;
    const char *mode = shutdown->mode ? shutdown->mode : "powerdown";

    for (unsigned i = 0; i < G_N_ELEMENTS(shutdown_modes); i++) {
        const Deed *deed = &shutdown_modes[i].deed;
        if (!g_str_equal(mode, shutdown_modes[i].mode))
            continue;
        const Way *way = find_way(deed->ways);
        if (way)
            run_way(call, deed, way);
        else
            command_call_finish(call, g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT,
                                                  "cannot %s: there is no %s", deed->name,
                                                  deed->ways[0].argv[0]));
        return;
    }
    command_call_finish(call, g_error_new(G_SPAWN_ERROR, G_SPAWN_ERROR_INVAL,
                                          "mode is invalid (valid values are: "
                                          "halt|powerdown|reboot)"));
}

/* ---- sleep ---- */

typedef struct {
    Deed deed;
    const char *state;     /* what /sys/power/state must offer and is told */
    const char *disk_mode; /* likewise /sys/power/disk, before; NULL: it does not matter */
} Sleep;

static const Sleep sleep_ram = {{"suspend to RAM", ram_ways}, "mem", NULL};
static const Sleep sleep_disk = {{"suspend to disk", disk_ways}, "disk", NULL};
static const Sleep sleep_hybrid = {{"suspend to both", hybrid_ways}, "disk", "suspend"};

static bool offers(const char *path, const char *word)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return false;
    g_strdelimit(g_strchomp(text), "[]", ' '); /* the chosen one stands in brackets */
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    return g_strv_contains((const char *const *)words, word);
}

static bool kernel_supports(const Sleep *sleep)
{
    return offers("/sys/power/state", sleep->state) &&
           (!sleep->disk_mode || offers("/sys/power/disk", sleep->disk_mode));
}

/* Writing it returns when the guest is awake again; the agent sleeps with the rest and has nothing
 * to do meanwhile. Linux, Documentation/admin-guide/pm/sleep-states */
static bool tell_kernel(const char *path, const char *word, GError **error)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool told = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);
    int cause = errno;

    if (fd >= 0)
        close(fd);
    if (!told)
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(cause),
                    "cannot write '%s' to %s: %s", word, path, g_strerror(cause));
    return told;
}

static void start_sleep(const Sleep *sleep, CommandCall *call)
{
    GError *error = NULL;

    if (!kernel_supports(sleep)) {
        command_call_finish(call, g_error_new(G_FILE_ERROR, G_FILE_ERROR_NOSYS,
                                              "the requested suspend mode is not supported by the "
                                              "guest: its kernel cannot %s (see /sys/power)",
                                              sleep->deed.name));
        return;
    }
    const Way *way = find_way(sleep->deed.ways);
    if (way) {
        run_way(call, &sleep->deed, way);
        return;
    }
    log_info(TOPIC, "%s, by the kernel", sleep->deed.name);
    if (!sleep->disk_mode || tell_kernel("/sys/power/disk", sleep->disk_mode, &error))
        tell_kernel("/sys/power/state", sleep->state, &error);
    command_call_finish(call, error);
}

static void start_suspend_ram(Agent *agent, const void *arguments, CommandCall *call)
{
    start_sleep(&sleep_ram, call);
}

static void start_suspend_disk(Agent *agent, const void *arguments, CommandCall *call)
{
    start_sleep(&sleep_disk, call);
}

static void start_suspend_hybrid(Agent *agent, const void *arguments, CommandCall *call)
{
    start_sleep(&sleep_hybrid, call);
}

const Command power_commands[] = {
    {.name = "guest-shutdown",
     .arguments = shutdown_arguments,
     .arguments_size = sizeof(ShutdownArguments),
     .start = start_shutdown,
     .flags = COMMAND_NO_SUCCESS_REPLY},
    {.name = "guest-suspend-ram", .start = start_suspend_ram, .flags = COMMAND_NO_SUCCESS_REPLY},
    {.name = "guest-suspend-disk", .start = start_suspend_disk, .flags = COMMAND_NO_SUCCESS_REPLY},
    {.name = "guest-suspend-hybrid",
     .start = start_suspend_hybrid,
     .flags = COMMAND_NO_SUCCESS_REPLY},
    {.name = NULL},
};
