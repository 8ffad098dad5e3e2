/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/options.h"
#include "prober/probe-error.h"
#include "prober/target-list.h"

#include <math.h>
#include <string.h>

#define MAX_SECONDS 3600.0
#define UNSET (-INFINITY)
/* A flag of the table below: every verb's that asks a guest. */
#define OPTIONS_TARGET (1u << 31)
#define DEFAULT_TIMEOUT_S 10.0
#define DEFAULT_HOLD_S 2.0
#define DEFAULT_INTERVAL_S 0.1
#define DEFAULT_PAUSE_S 1.0
#define MIN_INTERVAL_S 0.01
#define MAX_INTERVAL_S 10.0
#define COUNT_UNSET G_MININT
#define DEFAULT_PARALLEL 32
/* quiesced's own limits - pre-sync 60 s, freeze 30 s, hooks 30 s - and some room. */
#define DEFAULT_FREEZE_MS (150 * 1000)
#define DEFAULT_THAW_MS (60 * 1000)

/* As the command line gives them. */
typedef struct {
    char **sockets;
    char **patterns;
    char **vsocks;
    char *connect_uri;
    char **domains;
    gboolean all_domains;
    char **qmps;
    int parallel;
    double timeout_s;
    double hold_s;
    double interval_s;
    double duration_s;
    int count;
    char *to_folder;
    char *html_path;
    char *prometheus_path;
    gboolean nagios;
    int repeat;
    double pause_s;
    char **command;
    char **mount_points;
    char **images;
    char *format;
    char *snapshot;
    gboolean no_canary;
    gboolean no_disk;
    gboolean json;
} RawOptions;

static void raw_options_clear(RawOptions *raw)
{
    g_strfreev(raw->sockets);
    g_strfreev(raw->patterns);
    g_strfreev(raw->vsocks);
    g_free(raw->connect_uri);
    g_strfreev(raw->domains);
    g_strfreev(raw->qmps);
    g_free(raw->to_folder);
    g_free(raw->html_path);
    g_free(raw->prometheus_path);
    g_strfreev(raw->command);
    g_strfreev(raw->mount_points);
    g_strfreev(raw->images);
    g_free(raw->format);
    g_free(raw->snapshot);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RawOptions, raw_options_clear)

/* What follows is not ours to read. */
static bool begins_command(const char *word, OptionsWanted wanted)
{
    return (wanted & OPTIONS_WATCH) && strcmp(word, "--") == 0;
}

/* False when there is to be one and is none. */
static bool read_command(const char *const *arguments, OptionsWanted wanted, char ***command,
                         GError **error)
{
    while (*arguments && !begins_command(*arguments, wanted))
        arguments++;
    if (!*arguments)
        return true;
    if (arguments[1]) {
        *command = g_strdupv((char **)(gpointer)(arguments + 1));
        return true;
    }
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "there is no command after '--'");
    return false;
}

/* What follows the options, as --help shows it. */
static const char *operands(OptionsWanted wanted)
{
    if (wanted & OPTIONS_WATCH)
        return "[-- COMMAND [ARGUMENT...]] ";
    if (wanted & OPTIONS_PAGE)
        return "FILE ";
    return wanted & OPTIONS_IMAGES ? "IMAGE... " : "";
}

/* words: the program's name, then what is no option. */
static bool take_images(RawOptions *raw, char **words, GError **error)
{
    raw->images = g_strdupv(words[0] ? words + 1 : words);
    if (raw->images[0])
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "no image given: name the file, device or address of each of the guest's disks");
    return false;
}

/* words: the program's name and what is left over after the options. */
static bool read_page(RawOptions *raw, OptionsWanted wanted, char **words, GError **error)
{
    unsigned left = g_strv_length(words);
    unsigned expected = wanted & OPTIONS_PAGE ? 2 : 1;

    if (left > expected) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "unexpected argument '%s'",
                    words[expected]);
        return false;
    }
    if (!(wanted & OPTIONS_PAGE))
        return true;
    if (left < expected) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "no page given: add the FILE to write it to");
        return false;
    }
    raw->html_path = g_strdup(words[1]);
    return true;
}

static bool parse_raw(RawOptions *raw, const char *verb, const char *summary, OptionsWanted wanted,
                      const char *const *arguments, GError **error)
{
    const struct {
        unsigned flag; /* 0: every verb's */
        GOptionEntry entry;
    } table[] = {
        {OPTIONS_TARGET,
         {"socket", 's', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->sockets,
          "The unix socket of the agent's character device", "PATH"}},
        {OPTIONS_TARGET,
         {"vsock", 0, 0, G_OPTION_ARG_STRING_ARRAY, &raw->vsocks,
          "Or the guest's vsock id, the agent's port (1234)", "CID[:PORT]"}},
        {OPTIONS_TARGET,
         {"domain", 'd', 0, G_OPTION_ARG_STRING_ARRAY, &raw->domains,
          "Or the name, UUID or number of a libvirt domain", "NAME"}},
        {OPTIONS_TARGET,
         {"connect", 'c', 0, G_OPTION_ARG_STRING, &raw->connect_uri,
          "The URI of libvirt's daemon (libvirt's default)", "URI"}},
        {OPTIONS_MANY,
         {"sockets", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->patterns,
          "All guests whose agent's socket is called so", "PATTERN"}},
        {OPTIONS_MANY,
         {"all", 'a', 0, G_OPTION_ARG_NONE, &raw->all_domains,
          "All domains that run at libvirt's daemon", NULL}},
        {OPTIONS_MANY,
         {"parallel", 0, 0, G_OPTION_ARG_INT, &raw->parallel, "How many guests at a time (32)",
          "N"}},
        {OPTIONS_QMP,
         {"qmp", 'q', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->qmps,
          "QEMU's QMP socket, for the write counters", "PATH"}},
        {OPTIONS_MOUNT_POINTS,
         {"mountpoint", 'm', 0, G_OPTION_ARG_FILENAME_ARRAY, &raw->mount_points,
          "Only this filesystem of the guest; may be repeated", "PATH"}},
        {OPTIONS_HOLD,
         {"hold", 0, 0, G_OPTION_ARG_DOUBLE, &raw->hold_s, "How long to hold the guest frozen (2)",
          "SECONDS"}},
        {OPTIONS_WATCH,
         {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &raw->interval_s,
          "Time between two readings of the counters (0.1)", "SECONDS"}},
        {OPTIONS_WATCH,
         {"duration", 0, 0, G_OPTION_ARG_DOUBLE, &raw->duration_s,
          "Without a command: how long to watch (until Ctrl-C)", "SECONDS"}},
        {OPTIONS_TO,
         {"to", 0, 0, G_OPTION_ARG_FILENAME, &raw->to_folder,
          "The folder for the new images, as QEMU sees it", "FOLDER"}},
        {OPTIONS_CANARY,
         {"no-canary", 0, 0, G_OPTION_ARG_NONE, &raw->no_canary,
          "Start no writers inside the guest", NULL}},
        {OPTIONS_DISK,
         {"no-disk", 0, 0, G_OPTION_ARG_NONE, &raw->no_disk, "Do not read the guest's disks",
          NULL}},
        {OPTIONS_COUNT,
         {"count", 'n', 0, G_OPTION_ARG_INT, &raw->count, "Number of samples (10)", "N"}},
        {OPTIONS_WINDOWS,
         {"count", 'n', 0, G_OPTION_ARG_INT, &raw->count, "Only the last N freezes", "N"}},
        {OPTIONS_LINES,
         {"lines", 'n', 0, G_OPTION_ARG_INT, &raw->count, "Number of lines (100)", "N"}},
        {OPTIONS_OUTPUTS,
         {"html", 0, 0, G_OPTION_ARG_FILENAME, &raw->html_path,
          "Write a page: verdict, timeline, log", "FILE"}},
        {OPTIONS_OUTPUTS | OPTIONS_PAGE,
         {"prometheus", 0, 0, G_OPTION_ARG_FILENAME, &raw->prometheus_path,
          "Write metrics for the textfile collector", "FILE"}},
        {OPTIONS_OUTPUTS,
         {"nagios", 0, 0, G_OPTION_ARG_NONE, &raw->nagios,
          "A monitoring plugin's line and exit status", NULL}},
        {OPTIONS_REPEAT,
         {"repeat", 0, 0, G_OPTION_ARG_INT, &raw->repeat,
          "Do it so many times; the worst verdict counts", "N"}},
        {OPTIONS_REPEAT,
         {"pause", 0, 0, G_OPTION_ARG_DOUBLE, &raw->pause_s,
          "How long the guest runs between two (1)", "SECONDS"}},
        {OPTIONS_IMAGES,
         {"format", 'f', 0, G_OPTION_ARG_STRING, &raw->format,
          "The images' format, \"raw\" and the like (found out)", "FORMAT"}},
        {OPTIONS_IMAGES,
         {"snapshot", 0, 0, G_OPTION_ARG_STRING, &raw->snapshot,
          "An internal snapshot of the images", "NAME"}},
        {0,
         {"timeout", 't', 0, G_OPTION_ARG_DOUBLE, &raw->timeout_s,
          "Limit for each call (10; a freeze 150, a thaw 60)", "SECONDS"}},
        {0, {"json", 'j', 0, G_OPTION_ARG_NONE, &raw->json, "JSON instead of a table", NULL}},
    };
    g_autofree char *usage = g_strdup_printf("%s- %s", operands(wanted), summary);
    g_autoptr(GOptionContext) context = g_option_context_new(usage);
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        const GOptionEntry entries[] = {table[i].entry, {NULL}};
        if (table[i].flag == 0 || (wanted & table[i].flag) ||
            (table[i].flag == OPTIONS_TARGET && !(wanted & OPTIONS_IMAGES)))
            g_option_context_add_main_entries(context, entries, NULL);
    }
    /* The first word is the program's name in the help. */
    g_ptr_array_add(words, g_strconcat("quiesce-probe ", verb, NULL));
    for (; *arguments && !begins_command(*arguments, wanted); arguments++)
        g_ptr_array_add(words, g_strdup(*arguments));
    g_ptr_array_add(words, NULL);

    g_auto(GStrv) left = g_strdupv((char **)words->pdata);
    if (!g_option_context_parse_strv(context, &left, error))
        return false;
    if (wanted & OPTIONS_IMAGES)
        return take_images(raw, left, error);
    return read_page(raw, wanted, left, error);
}

static bool check_seconds(const char *option, double seconds, GError **error)
{
    if (seconds > 0 && seconds <= MAX_SECONDS)
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "%s must be more than 0 and at most %.0f seconds", option, MAX_SECONDS);
    return false;
}

static GPtrArray *make_targets(const RawOptions *raw, OptionsWanted wanted, GError **error)
{
    const TargetListOptions options = {
        .sockets = (const char *const *)raw->sockets,
        .patterns = (const char *const *)raw->patterns,
        .vsocks = (const char *const *)raw->vsocks,
        .connect_uri = raw->connect_uri,
        .all_domains = raw->all_domains,
        .domains = (const char *const *)raw->domains,
        .qmps = (const char *const *)raw->qmps,
    };

    if (wanted & OPTIONS_IMAGES)
        return g_ptr_array_new();
    return target_list_new(&options, error);
}

static bool check_guests(const RawOptions *raw, const char *verb, OptionsWanted wanted,
                         const GPtrArray *targets, GError **error)
{
    if (raw->parallel < 1 || raw->parallel > OPTIONS_MAX_PARALLEL) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "--parallel must be from 1 to %d",
                    OPTIONS_MAX_PARALLEL);
        return false;
    }
    if (targets->len <= 1 || (wanted & OPTIONS_MANY))
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "%s takes one guest at a time, and here are %u", verb, targets->len);
    return false;
}

/* These speak of one guest, or would mix the words of many. */
static bool check_single(const RawOptions *raw, const GPtrArray *targets, GError **error)
{
    const char *option = raw->html_path         ? "--html"
                         : raw->prometheus_path ? "--prometheus"
                         : raw->nagios          ? "--nagios"
                         : raw->repeat != 1     ? "--repeat"
                                                : NULL;

    if (!option || (targets->len == 1 && !raw->patterns && !raw->all_domains))
        return true;
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "%s is of one guest: call the program once for each", option);
    return false;
}

static bool check_repeat(const RawOptions *raw, GError **error)
{
    if (raw->nagios && raw->json) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "--nagios and --json both want standard output: leave out one");
        return false;
    }
    if (raw->repeat >= 1 && raw->repeat <= OPTIONS_MAX_REPEAT)
        return check_seconds("--pause", raw->pause_s, error);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "--repeat must be from 1 to %d",
                OPTIONS_MAX_REPEAT);
    return false;
}

static bool check_watch(const RawOptions *raw, GError **error)
{
    if (raw->interval_s >= MIN_INTERVAL_S && raw->interval_s <= MAX_INTERVAL_S)
        return raw->duration_s == UNSET || check_seconds("--duration", raw->duration_s, error);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                "--interval must be from %.2f to %.0f seconds", MIN_INTERVAL_S, MAX_INTERVAL_S);
    return false;
}

static bool check_raw(const RawOptions *raw, OptionsWanted wanted, GError **error)
{
    if (raw->count != COUNT_UNSET && (raw->count < 1 || raw->count > OPTIONS_MAX_COUNT)) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE, "%s must be from 1 to %d",
                    wanted & OPTIONS_LINES ? "--lines" : "--count", OPTIONS_MAX_COUNT);
        return false;
    }
    for (char **path = raw->mount_points; path && *path; path++) {
        if (**path != '/' || !g_utf8_validate(*path, -1, NULL)) {
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                        "--mountpoint must be an absolute path, in UTF-8");
            return false;
        }
    }
    if ((wanted & OPTIONS_TO) && !raw->to_folder) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_USAGE,
                    "no folder for the new images given: add --to FOLDER");
        return false;
    }
    return (raw->timeout_s == UNSET || check_seconds("--timeout", raw->timeout_s, error)) &&
           check_seconds("--hold", raw->hold_s, error) && check_watch(raw, error) &&
           check_repeat(raw, error);
}

Options *options_parse(const char *verb, const char *summary, OptionsWanted wanted,
                       const char *const *arguments, GError **error)
{
    g_auto(RawOptions) raw = {.timeout_s = UNSET,
                              .hold_s = DEFAULT_HOLD_S,
                              .interval_s = DEFAULT_INTERVAL_S,
                              .repeat = 1,
                              .pause_s = DEFAULT_PAUSE_S,
                              .duration_s = UNSET,
                              .count = COUNT_UNSET,
                              .parallel = DEFAULT_PARALLEL};

    if (!parse_raw(&raw, verb, summary, wanted, arguments, error) ||
        !read_command(arguments, wanted, &raw.command, error))
        return NULL;
    g_autoptr(GPtrArray) targets = make_targets(&raw, wanted, error);
    if (!targets || !check_guests(&raw, verb, wanted, targets, error) ||
        !check_single(&raw, targets, error) || !check_raw(&raw, wanted, error))
        return NULL;

    bool own_timeout = raw.timeout_s != UNSET;
    Options *options = g_new0(Options, 1);
    options->many = targets->len > 1 || raw.patterns || raw.all_domains;
    options->target = targets->len > 0 ? g_ptr_array_index(targets, 0) : NULL;
    options->targets = g_steal_pointer(&targets);
    options->parallel = (unsigned)raw.parallel;
    options->mount_points = g_steal_pointer(&raw.mount_points);
    options->images = g_steal_pointer(&raw.images);
    options->format = g_steal_pointer(&raw.format);
    options->snapshot = g_steal_pointer(&raw.snapshot);
    options->timeout_ms =
        MAX((int64_t)((own_timeout ? raw.timeout_s : DEFAULT_TIMEOUT_S) * 1000), 1);
    options->freeze_ms = own_timeout ? options->timeout_ms : DEFAULT_FREEZE_MS;
    options->thaw_ms = own_timeout ? options->timeout_ms : DEFAULT_THAW_MS;
    options->hold_us = (int64_t)(raw.hold_s * G_USEC_PER_SEC);
    options->interval_us = (int64_t)(raw.interval_s * G_USEC_PER_SEC);
    if (raw.duration_s != UNSET)
        options->duration_us = MAX((int64_t)(raw.duration_s * G_USEC_PER_SEC), 1);
    options->command = g_steal_pointer(&raw.command);
    options->to_folder = g_steal_pointer(&raw.to_folder);
    options->html_path = g_steal_pointer(&raw.html_path);
    options->prometheus_path = g_steal_pointer(&raw.prometheus_path);
    options->nagios = raw.nagios;
    options->repeat = (unsigned)raw.repeat;
    options->pause_us = (int64_t)(raw.pause_s * G_USEC_PER_SEC);
    options->count = raw.count == COUNT_UNSET ? 0 : (unsigned)raw.count;
    options->no_canary = raw.no_canary;
    options->no_disk = raw.no_disk;
    options->json = raw.json;
    return options;
}

void options_free(Options *options)
{
    g_ptr_array_unref(options->targets);
    g_strfreev(options->mount_points);
    g_strfreev(options->command);
    g_free(options->to_folder);
    g_free(options->html_path);
    g_free(options->prometheus_path);
    g_strfreev(options->images);
    g_free(options->format);
    g_free(options->snapshot);
    g_free(options);
}
