/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config-options.h"

#include "agent/config-key.h"
#include "build-config.h"

#include <getopt.h>
#include <stdio.h>

#define DEFAULT_HOOK "/etc/qemu/fsfreeze-hook"

/* An option sets a key of group [general], or asks for an action, or names the key file. */
typedef struct {
    char letter; /* 0: long form only */
    const char *name;
    int has_argument;      /* as in struct option */
    const char *key;       /* NULL: no key */
    const char *value;     /* of the key when the option comes without an argument */
    ConfigAction action;   /* CONFIG_ACTION_RUN: none */
    bool at_once;          /* the rest of the command line does not matter */
    const char *parameter; /* for --help */
    const char *help;
} Option;

static const Option options_table[] = {
    {'m', "method", required_argument, .key = "method", .parameter = "=METHOD",
     .help = "virtio-serial (default), isa-serial, unix-listen or vsock-listen"},
    {'p', "path", required_argument, .key = "path", .parameter = "=PATH",
     .help = "device or socket; CID:PORT with vsock-listen; default\n"
             "/dev/virtio-ports/org.qemu.guest_agent.0, with isa-serial /dev/ttyS0"},
    {'l', "logfile", required_argument, .key = "logfile", .parameter = "=FILE",
     .help = "log to this file, or to syslog with \"syslog\"; default: standard\n"
             "error, with --daemonize syslog"},
    {'f', "pidfile", required_argument, .key = "pidfile", .parameter = "=FILE",
     .help = "default /var/run/qemu-ga.pid"},
    {'F', "fsfreeze-hook", optional_argument, .key = "fsfreeze-hook", .value = DEFAULT_HOOK,
     .parameter = "[=PATH]",
     .help = "run this program, or the programs in this directory, with \"freeze\"\n"
             "before a freeze and \"thaw\" after; the short form takes its argument\n"
             "without a space (-F/path); default " DEFAULT_HOOK},
    {'t', "statedir", required_argument, .key = "statedir", .parameter = "=DIR",
     .help = "where the state file is kept, on a tmpfs; default /var/run"},
    {'v', "verbose", no_argument, .key = "verbose", .value = "true",
     .help = "log every request and reply"},
    {'V', "version", no_argument, .action = CONFIG_ACTION_VERSION, .at_once = true,
     .help = "print the version and exit"},
    {'d', "daemonize", no_argument, .key = "daemon", .value = "true",
     .help = "go to the background once the agent is ready"},
    {'b', "block-rpcs", required_argument, .key = "block-rpcs", .parameter = "=LIST",
     .help = "commands to switch off, separated by commas; \"help\" lists all"},
    {0, "blacklist", required_argument, .key = "block-rpcs"},
    {'a', "allow-rpcs", required_argument, .key = "allow-rpcs", .parameter = "=LIST",
     .help = "the only commands to leave on, separated by commas"},
    {'D', "dump-conf", no_argument, .action = CONFIG_ACTION_DUMP,
     .help = "print the configuration in effect as a key file and exit"},
    {'r', "retry-path", no_argument, .key = "retry-path", .value = "true",
     .help = "wait for the device when it is missing or vanishes"},
    {'c', "config", required_argument, .parameter = "=FILE",
     .help = "key file; default: $QGA_CONF, else /etc/qemu/qemu-ga.conf and,\n"
             "over it, " QUIESCED_SYSCONFDIR "/quiesced/quiesced.conf"},
    {0, "show-plan", no_argument, .action = CONFIG_ACTION_SHOW_PLAN,
     .help = "print what a freeze would freeze, in which order, and what not and\n"
             "why; touches nothing"},
    {0, "thaw", no_argument, .action = CONFIG_ACTION_THAW,
     .help = "thaw what an agent that was killed has left frozen"},
    {'h', "help", no_argument, .action = CONFIG_ACTION_HELP, .at_once = true,
     .help = "print this text and exit"},
};

/* getopt's return value for the long form of row i. */
#define LONG_FORM 256

typedef struct {
    const Option *option;
    char *value;
} Setting;

static void setting_free(Setting *setting)
{
    g_free(setting->value);
    g_free(setting);
}

void config_options_free(ConfigOptions *options)
{
    if (options == NULL)
        return;
    g_free(options->config_path);
    g_ptr_array_unref(options->settings);
    g_free(options);
}

static char *short_forms(void)
{
    /* The colon in front makes getopt tell a missing argument from an unknown option. */
    GString *text = g_string_new(":");
    for (size_t i = 0; i < G_N_ELEMENTS(options_table); i++) {
        const Option *option = &options_table[i];
        if (option->letter == 0)
            continue;
        g_string_append_c(text, option->letter);
        g_string_append(text, option->has_argument == required_argument   ? ":"
                              : option->has_argument == optional_argument ? "::"
                                                                          : "");
    }
    return g_string_free(text, FALSE);
}

static struct option *long_forms(void)
{
    struct option *forms = g_new0(struct option, G_N_ELEMENTS(options_table) + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(options_table); i++)
        forms[i] = (struct option){.name = options_table[i].name,
                                   .has_arg = options_table[i].has_argument,
                                   .val = LONG_FORM + (int)i};
    return forms;
}

static const Option *find_option(int code)
{
    if (code >= LONG_FORM)
        return &options_table[code - LONG_FORM];
    for (size_t i = 0; i < G_N_ELEMENTS(options_table); i++)
        if (options_table[i].letter == code)
            return &options_table[i];
    return NULL;
}

/* code is getopt's ':' or '?', word the argument it stumbled over. */
static void set_usage_error(GError **error, int code, const char *word, const char *program)
{
    const char *what = code == ':' ? "needs an argument" : "is not an option of this program";
    /* In a cluster of short options only the letter tells which one it was. */
    g_autofree char *letter = optopt > 0 && optopt < LONG_FORM && !g_str_has_prefix(word, "--")
                                  ? g_strdup_printf("-%c", optopt)
                                  : g_strdup(word);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION, "%s %s; try '%s --help'",
                letter, what, program);
}

static void take_option(ConfigOptions *options, const Option *option, const char *argument)
{
    if (option->action != CONFIG_ACTION_RUN) {
        options->action = option->action;
        return;
    }
    if (option->key == NULL) {
        g_free(options->config_path);
        options->config_path = g_strdup(argument);
        return;
    }
    Setting *setting = g_new0(Setting, 1);
    setting->option = option;
    setting->value = g_strdup(argument != NULL ? argument : option->value);
    g_ptr_array_add(options->settings, setting);
}

static bool asks_for_list(const Option *option, const char *argument)
{
    return option->key != NULL && g_str_has_suffix(option->key, "-rpcs") &&
           (g_str_equal(argument, "help") || g_str_equal(argument, "?"));
}

ConfigOptions *config_options_parse(int argc, char **argv, GError **error)
{
    g_autoptr(ConfigOptions) options = g_new0(ConfigOptions, 1);
    options->settings = g_ptr_array_new_with_free_func((GDestroyNotify)setting_free);
    g_autofree char *letters = short_forms();
    g_autofree struct option *names = long_forms();
    /* getopt_long reorders the words; the caller's order must stay. */
    g_autofree char **words = g_memdup2(argv, sizeof *argv * ((size_t)argc + 1));

    int code;
    optind = 0; /* glibc: start afresh, also after an earlier call */
    opterr = 0;
    while ((code = getopt_long(argc, words, letters, names, NULL)) != -1) {
        if (code == ':' || code == '?') {
            set_usage_error(error, code, words[optind - 1], argv[0]);
            return NULL;
        }
        const Option *option = find_option(code);
        if (asks_for_list(option, optarg))
            options->action = CONFIG_ACTION_LIST_COMMANDS;
        else
            take_option(options, option, optarg);
        if (option->at_once || options->action == CONFIG_ACTION_LIST_COMMANDS)
            return g_steal_pointer(&options);
    }
    if (optind < argc) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "'%s' belongs to no option (the argument of -F follows without a space); "
                    "try '%s --help'",
                    words[optind], argv[0]);
        return NULL;
    }
    return g_steal_pointer(&options);
}

bool config_options_apply(const ConfigOptions *options, Config *config, GError **error)
{
    for (unsigned i = 0; i < options->settings->len; i++) {
        const Setting *setting = options->settings->pdata[i];
        const ConfigKey *key = config_key_find("general", setting->option->key);
        g_auto(GStrv) values = NULL;
        if (config_key_is_list(key)) {
            values = g_strsplit(setting->value, ",", -1);
        } else {
            values = g_new0(char *, 2);
            values[0] = g_strdup(setting->value);
        }
        if (!config_key_set(key, config, (const char *const *)values, error)) {
            g_prefix_error(error, "option --%s: ", setting->option->name);
            return false;
        }
    }
    return true;
}

static void print_option(const Option *option)
{
    g_autofree char *forms = option->letter != 0
                                 ? g_strdup_printf("-%c, --%s%s", option->letter, option->name,
                                                   option->parameter ? option->parameter : "")
                                 : g_strdup_printf("    --%s", option->name);
    g_auto(GStrv) lines = g_strsplit(option->help, "\n", -1);
    printf("  %-27s %s\n", forms, lines[0]);
    for (char **line = lines + 1; *line != NULL; line++)
        printf("  %-27s %s\n", "", *line);
}

void config_print_help(const char *program)
{
    printf("Usage: %s [-m METHOD -p PATH] [OPTION...]\n"
           "quiesced %s, a guest agent that makes snapshots consistent (drop-in for qemu-ga)\n\n",
           program, QUIESCED_VERSION);
    for (size_t i = 0; i < G_N_ELEMENTS(options_table); i++)
        if (options_table[i].help != NULL)
            print_option(&options_table[i]);
    puts("\nSee quiesced(8) and quiesced.conf(5).");
}
