/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *key_file; /* QGA_CONF of the tests, so that no file of the system is read */

static void write_key_file(const char *text)
{
    ck_assert(g_file_set_contents(key_file, text, -1, NULL));
}

static void setup(void)
{
    int fd = g_file_open_tmp("test-config-XXXXXX", &key_file, NULL);
    ck_assert_int_ge(fd, 0);
    close(fd);
    g_setenv("QGA_CONF", key_file, TRUE);
    g_unsetenv("LISTEN_FDS");
}

static void teardown(void)
{
    g_unlink(key_file);
    g_clear_pointer(&key_file, g_free);
}

/* words: the command line without the program's name, separated by spaces. */
static Config *load(const char *words, GError **error)
{
    g_autofree char *line = g_strconcat("quiesced ", words, NULL);
    g_auto(GStrv) argv = g_strsplit(g_strchomp(line), " ", -1);
    return config_load((int)g_strv_length(argv), argv, error);
}

static Config *load_well(const char *words)
{
    g_autoptr(GError) error = NULL;
    Config *config = load(words, &error);
    ck_assert_msg(config != NULL, "%s: %s", words, error ? error->message : "no error set");
    return config;
}

static void assert_refused(const char *words, const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = load(words, &error);
    ck_assert_msg(config == NULL, "'%s' was accepted", words);
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error->message, message) != NULL, "'%s' lacks '%s'", error->message,
                  message);
}

/* place: the line, ":3:" */
static void assert_file_refused(const char *text, const char *place, const char *message)
{
    write_key_file(text);
    g_autofree char *where = g_strconcat(key_file, place, NULL);
    assert_refused("", where);
    assert_refused("", message);
}

START_TEST(without_options_the_defaults_are_those_of_qemu_ga)
{
    g_autoptr(Config) config = load_well("");
    ck_assert_int_eq(config->action, CONFIG_ACTION_RUN);
    ck_assert(!config->daemonize && !config->verbose && !config->retry_path);
    ck_assert_int_eq(config->method, CHANNEL_VIRTIO_SERIAL);
    ck_assert_str_eq(config->path, "/dev/virtio-ports/org.qemu.guest_agent.0");
    ck_assert_ptr_null(config->log_file);
    ck_assert_str_eq(config->pid_file, "/var/run/qemu-ga.pid");
    ck_assert_str_eq(config->state_dir, "/var/run");
    ck_assert_ptr_null(config->fsfreeze_hook);
    ck_assert_ptr_null(config->block_rpcs[0]);
    ck_assert_ptr_null(config->allow_rpcs);
}
END_TEST

START_TEST(without_options_the_deadlines_are_those_of_the_design)
{
    g_autoptr(Config) config = load_well("");
    ck_assert_int_eq(config->presync_timeout_ms, 60000);
    ck_assert_int_eq(config->freeze_timeout_ms, 30000);
    ck_assert_int_eq(config->hold_timeout_ms, 300000);
    ck_assert_int_eq(config->hook_timeout_ms, 30000);
    ck_assert(config->hook_failure_aborts && config->expedite_rcu);
    ck_assert(config->rules.other_namespaces);
}
END_TEST

START_TEST(short_options_are_understood)
{
    g_autoptr(Config) config = load_well("-m unix-listen -p /s -l /l -f /f -t /t -vdr -F/h -b a,b");
    ck_assert_int_eq(config->method, CHANNEL_UNIX_LISTEN);
    ck_assert_str_eq(config->path, "/s");
    ck_assert_str_eq(config->log_file, "/l");
    ck_assert_str_eq(config->pid_file, "/f");
    ck_assert_str_eq(config->state_dir, "/t");
    ck_assert_str_eq(config->fsfreeze_hook, "/h");
    ck_assert(config->verbose && config->daemonize && config->retry_path);
    ck_assert_str_eq(config->block_rpcs[0], "a");
    ck_assert_str_eq(config->block_rpcs[1], "b");
    ck_assert_ptr_null(config->block_rpcs[2]);
}
END_TEST

START_TEST(long_options_are_understood)
{
    g_autoptr(Config) config =
        load_well("--method=vsock-listen --path=3:1234 --logfile=syslog --pidfile /f --statedir /t "
                  "--verbose --daemonize --retry-path --fsfreeze-hook=/h --allow-rpcs=a");
    ck_assert_int_eq(config->method, CHANNEL_VSOCK_LISTEN);
    ck_assert_str_eq(config->path, "3:1234");
    ck_assert_str_eq(config->log_file, CONFIG_LOG_SYSLOG);
    ck_assert_str_eq(config->fsfreeze_hook, "/h");
    ck_assert_str_eq(config->allow_rpcs[0], "a");
    ck_assert_ptr_null(config->allow_rpcs[1]);
}
END_TEST

START_TEST(a_hook_option_without_argument_means_the_stock_hook)
{
    g_autoptr(Config) config = load_well("-F -v");
    ck_assert_str_eq(config->fsfreeze_hook, "/etc/qemu/fsfreeze-hook");
    ck_assert(config->verbose);
}
END_TEST

START_TEST(a_hook_path_behind_a_space_is_refused_and_not_silently_dropped)
{
    assert_refused("-F /srv/hook", "'/srv/hook' belongs to no option");
}
END_TEST

START_TEST(each_method_has_its_default_path)
{
    g_autoptr(Config) config = load_well("-m isa-serial");
    ck_assert_str_eq(config->path, "/dev/ttyS0");
    assert_refused("-m unix-listen", "no default path");
    assert_refused("-m vsock-listen", "no default path");
}
END_TEST

START_TEST(a_socket_that_was_handed_over_needs_no_path)
{
    g_setenv("LISTEN_FDS", "1", TRUE);
    g_autoptr(Config) config = load_well("-m unix-listen");
    ck_assert_ptr_null(config->path);
    g_unsetenv("LISTEN_FDS");
}
END_TEST

static const struct {
    const char *words;
    const char *message;
} bad_command_lines[] = {
    {"-z", "-z is not an option"},
    {"-vz", "-z is not an option"},
    {"--nonsense", "--nonsense is not an option"},
    {"--verbose=yes", "--verbose=yes is not an option"},
    {"-p", "-p needs an argument"},
    {"--path", "--path needs an argument"},
    {"-m virtio", "option --method: 'virtio' is none of: virtio-serial, isa-serial"},
    {"-v more", "'more' belongs to no option"},
    {"-c /nonexistent/file", "/nonexistent/file"},
    {"-a guest-ping -b guest-sync", "exclude each other"},
    {"--pidfile=", "must not be empty"},
};

START_TEST(a_bad_command_line_is_refused_with_the_word_that_is_wrong)
{
    assert_refused(bad_command_lines[_i].words, bad_command_lines[_i].message);
}
END_TEST

static const struct {
    const char *words;
    ConfigAction action;
} actions[] = {
    {"-h", CONFIG_ACTION_HELP},
    {"--version", CONFIG_ACTION_VERSION},
    {"-D", CONFIG_ACTION_DUMP},
    {"--show-plan", CONFIG_ACTION_SHOW_PLAN},
    {"--thaw", CONFIG_ACTION_THAW},
    {"-b help", CONFIG_ACTION_LIST_COMMANDS},
    {"--blacklist=?", CONFIG_ACTION_LIST_COMMANDS},
    {"-a help", CONFIG_ACTION_LIST_COMMANDS},
};

START_TEST(an_action_is_recognised)
{
    g_autoptr(Config) config = load_well(actions[_i].words);
    ck_assert_int_eq(config->action, actions[_i].action);
}
END_TEST

START_TEST(help_and_version_work_with_a_broken_key_file)
{
    write_key_file("broken\n");
    config_free(load_well("--help"));
    config_free(load_well("-V --whatever"));
    config_free(load_well("-b help"));
}
END_TEST

START_TEST(thawing_works_with_a_broken_key_file_and_anything_else_does_not)
{
    write_key_file("[general]\nstatedir=/elsewhere\nbroken\n");
    g_autoptr(Config) config = load_well("--thaw");
    ck_assert_str_eq(config->state_dir, "/var/run");
    assert_refused("--dump-conf", ":3:");
}
END_TEST

START_TEST(thawing_uses_what_a_broken_key_file_says_before_the_error)
{
    write_key_file("[general]\nstatedir=/elsewhere\nmethod=unix-listen\nfoo=1\n");
    g_autoptr(Config) config = load_well("--thaw");
    ck_assert_str_eq(config->state_dir, "/elsewhere");
}
END_TEST

START_TEST(every_key_of_the_file_is_read)
{
    write_key_file("# comment\n"
                   "[general]\ndaemon=true\nmethod=unix-listen\npath=/s\nlogfile=/l\npidfile=/f\n"
                   "fsfreeze-hook=/h\nstatedir=/t\nverbose=1\nretry-path=true\nblock-rpcs=a,b\n"
                   "[log]\nmax-size=2M\n"
                   "[freeze]\npre-sync-timeout=1\nfreeze-timeout=2.5\nhold-timeout=0\n"
                   "hook-timeout=0.0001\nhook-failure=ignore\nexpedite-rcu=false\n"
                   "other-namespaces=false\ninclude-mountpoints=/a,/b\\,c\ninclude-types=ext4\n"
                   "include-devices=/dev/vd*\nexclude-mountpoints=/x , /y\nexclude-types=xfs,\n"
                   "exclude-devices=/dev/sd*\n");
    g_autoptr(Config) config = load_well("");
    ck_assert(config->daemonize && config->verbose && config->retry_path);
    ck_assert_int_eq(config->method, CHANNEL_UNIX_LISTEN);
    ck_assert_str_eq(config->path, "/s");
    ck_assert_str_eq(config->log_file, "/l");
    ck_assert_str_eq(config->pid_file, "/f");
    ck_assert_str_eq(config->fsfreeze_hook, "/h");
    ck_assert_str_eq(config->state_dir, "/t");
    ck_assert_uint_eq(g_strv_length(config->block_rpcs), 2);
    ck_assert_uint_eq(config->log_max_bytes, 2 * 1024 * 1024);
    ck_assert_int_eq(config->presync_timeout_ms, 1000);
    ck_assert_int_eq(config->freeze_timeout_ms, 2500);
    ck_assert_int_eq(config->hold_timeout_ms, 0);
    ck_assert_int_eq(config->hook_timeout_ms, 1);
    ck_assert(!config->hook_failure_aborts && !config->expedite_rcu);
    ck_assert(!config->rules.other_namespaces);
    ck_assert_uint_eq(g_strv_length(config->rules.include_mount_points), 2);
    ck_assert_str_eq(config->rules.include_types[0], "ext4");
    ck_assert_str_eq(config->rules.include_devices[0], "/dev/vd*");
    ck_assert_str_eq(config->rules.exclude_mount_points[1], "/y");
    ck_assert_uint_eq(g_strv_length(config->rules.exclude_types), 1);
    ck_assert_str_eq(config->rules.exclude_devices[0], "/dev/sd*");
}
END_TEST

START_TEST(the_command_line_wins_over_the_file)
{
    write_key_file("[general]\npath=/file\nmethod=unix-listen\nstatedir=/file\n");
    g_autoptr(Config) config = load_well("-p /line");
    ck_assert_str_eq(config->path, "/line");
    ck_assert_str_eq(config->state_dir, "/file");
}
END_TEST

START_TEST(lists_of_file_and_command_line_add_up)
{
    write_key_file("[general]\nblock-rpcs=a\n");
    g_autoptr(Config) config = load_well("-b b -b c,d");
    g_autofree char *all = g_strjoinv(" ", config->block_rpcs);
    ck_assert_str_eq(all, "a b c d");
}
END_TEST

START_TEST(the_old_names_of_the_block_list_work)
{
    write_key_file("[general]\nblacklist=a\n");
    g_autoptr(Config) config = load_well("--blacklist=b");
    g_autofree char *all = g_strjoinv(" ", config->block_rpcs);
    ck_assert_str_eq(all, "a b");
}
END_TEST

START_TEST(a_block_list_in_the_file_excludes_an_allow_list_on_the_command_line)
{
    write_key_file("[general]\nblock-rpcs=a\n");
    assert_refused("-a b", "exclude each other");
}
END_TEST

START_TEST(an_empty_allow_list_is_no_allow_list)
{
    write_key_file("[general]\nblock-rpcs=a\nallow-rpcs=\n");
    g_autoptr(Config) config = load_well("");
    ck_assert_ptr_null(config->allow_rpcs);
}
END_TEST

START_TEST(a_file_named_on_the_command_line_goes_before_the_environment)
{
    write_key_file("[general]\nstatedir=/environment\n");
    g_autofree char *other = g_strconcat(key_file, ".other", NULL);
    ck_assert(g_file_set_contents(other, "[general]\nstatedir=/option\n", -1, NULL));
    g_autofree char *words = g_strconcat("-c ", other, NULL);
    g_autoptr(Config) config = load_well(words);
    ck_assert_str_eq(config->state_dir, "/option");
    g_unlink(other);
}
END_TEST

START_TEST(relative_paths_become_absolute)
{
    g_autoptr(Config) config = load_well("-t state -l log -f pid -Fhook -m unix-listen -p sock");
    g_autofree char *directory = g_get_current_dir();
    g_autofree char *state = g_build_filename(directory, "state", NULL);
    ck_assert_str_eq(config->state_dir, state);
    ck_assert(g_path_is_absolute(config->log_file) && g_path_is_absolute(config->pid_file));
    ck_assert(g_path_is_absolute(config->fsfreeze_hook) && g_path_is_absolute(config->path));
}
END_TEST

static const struct {
    const char *text;
    const char *place;
    const char *message;
} bad_files[] = {
    {"[general]\n\n# all well\nfoo=1\n", ":4:", "unknown key 'foo' in group [general]"},
    {"[general]\nverbose=true\n[Freeze]\nx=1\n", ":3:", "unknown group [Freeze]"},
    {"[freeze]\nverbose=true\n", ":2:", "unknown key 'verbose' in group [freeze]"},
    {"[general]\n\ngarbage\n", ":3:", "garbage"},
    {"[general]\nverbose=true\n[freeze\n", ":3:", "[freeze"},
    {"verbose=true\n", ":1:", "group"},
    {"[general]\nverbose=maybe\n", ":2:", "'maybe' is none of: false, true"},
    {"[general]\nverbose=true\n verbose = no\n", ":3:", "key 'verbose'"},
    {"[general]\nmethod=carrier-pigeon\n", ":2:", "key 'method'"},
    {"[freeze]\r\nhold-timeout=soon\r\n", ":2:", "'soon' is no number of seconds"},
    {"[freeze]\nhold-timeout=-1\n", ":2:", "'-1' is no number of seconds"},
    {"[freeze]\nhold-timeout=\n", ":2:", "'' is no number of seconds"},
    {"[freeze]\nhold-timeout=1e9\n", ":2:", "no number of seconds"},
    {"[freeze]\nhold-timeout=99999999999\n", ":2:", "no number of seconds"},
    {"[freeze]\nhold-timeout=inf\n", ":2:", "no number of seconds"},
    {"[freeze]\nhook-failure=true\n", ":2:", "'true' is none of: ignore, abort"},
    {"[log]\nmax-size=12X\n", ":2:", "'12X' is no size in bytes"},
    {"[log]\nmax-size=K\n", ":2:", "'K' is no size in bytes"},
    {"[log]\nmax-size=9999999999G\n", ":2:", "no size in bytes"},
    {"[log]\nmax-size=-1\n", ":2:", "no size in bytes"},
    {"[general]\npath=\xff\xfe\n", ":2:", "key 'path'"},
};

START_TEST(a_bad_key_file_is_refused_with_file_line_and_key)
{
    assert_file_refused(bad_files[_i].text, bad_files[_i].place, bad_files[_i].message);
}
END_TEST

START_TEST(a_file_that_is_no_key_file_is_refused)
{
    g_autofree char *large = g_strnfill(2 * 1024 * 1024, '#');
    write_key_file(large);
    assert_refused("", "larger than 1 MiB");
    ck_assert(g_file_set_contents(key_file, "[general]\n\0\n", 12, NULL));
    assert_refused("", "NUL bytes");
    g_unlink(key_file);
    assert_refused("", "No such file or directory");
}
END_TEST

/* What config_print() writes to standard output. */
static char *dump(const Config *config)
{
    g_autofree char *path = g_strconcat(key_file, ".dump", NULL);
    char *text = NULL;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    ck_assert_ptr_nonnull(freopen(path, "w", stdout));
    config_print(config);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    return text;
}

START_TEST(the_dump_begins_as_that_of_qemu_ga)
{
    g_autoptr(Config) config = load_well("-D");
    g_autofree char *text = dump(config);
    ck_assert(g_str_has_prefix(text, "[general]\ndaemon=false\nmethod=virtio-serial\n"
                                     "path=/dev/virtio-ports/org.qemu.guest_agent.0\n"
                                     "pidfile=/var/run/qemu-ga.pid\nstatedir=/var/run\n"
                                     "verbose=false\nretry-path=false\nblock-rpcs=\n"));
}
END_TEST

START_TEST(a_dump_that_is_read_again_gives_the_same_dump)
{
    write_key_file("[general]\nallow-rpcs=guest-ping,guest-sync\nlogfile=/a b\nfsfreeze-hook=/h\n"
                   "[log]\nmax-size=0\n"
                   "[freeze]\nhold-timeout=0.25\nhook-failure=ignore\n"
                   "exclude-mountpoints=/mnt/a\\,b,/mnt/[*]\n");
    g_autoptr(Config) config = load_well("-D");
    g_autofree char *first = dump(config);
    ck_assert_ptr_nonnull(strstr(first, "hold-timeout=0.25\n"));
    ck_assert_ptr_nonnull(strstr(first, "allow-rpcs=guest-ping,guest-sync\n"));
    write_key_file(first);
    g_autoptr(Config) again = load_well("-D");
    g_autofree char *second = dump(again);
    ck_assert_str_eq(first, second);
}
END_TEST

START_TEST(the_key_file_that_is_shipped_states_the_defaults)
{
    g_autoptr(Config) defaults = load_well("-D");
    g_autofree char *expected = dump(defaults);
    g_autofree char *shipped =
        g_canonicalize_filename("../../../packaging/quiesced.conf", g_getenv("FIXTURES"));
    g_autofree char *words = g_strconcat("-D -c ", shipped, NULL);
    g_autoptr(Config) config = load_well(words);
    g_autofree char *text = dump(config);
    ck_assert_str_eq(text, expected);

    /* Its commented settings, with the comment signs taken away, are valid as well. */
    g_autofree char *original = NULL;
    ck_assert(g_file_get_contents(shipped, &original, NULL, NULL));
    g_autoptr(GRegex) commented = g_regex_new("^#([a-z-]+=)", G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *all = g_regex_replace(commented, original, -1, 0, "\\1", 0, NULL);
    g_autoptr(GRegex) allow = g_regex_new("^allow-rpcs=.*\n", G_REGEX_MULTILINE, 0, NULL);
    g_autofree char *without_allow = g_regex_replace(allow, all, -1, 0, "", 0, NULL);
    write_key_file(without_allow);
    g_autoptr(Config) full = load_well("-D");
    ck_assert_ptr_nonnull(full->rules.exclude_devices);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_options_the_defaults_are_those_of_qemu_ga);
    tcase_add_test(tcase, without_options_the_deadlines_are_those_of_the_design);
    tcase_add_test(tcase, short_options_are_understood);
    tcase_add_test(tcase, long_options_are_understood);
    tcase_add_test(tcase, a_hook_option_without_argument_means_the_stock_hook);
    tcase_add_test(tcase, a_hook_path_behind_a_space_is_refused_and_not_silently_dropped);
    tcase_add_test(tcase, each_method_has_its_default_path);
    tcase_add_test(tcase, a_socket_that_was_handed_over_needs_no_path);
    tcase_add_loop_test(tcase, a_bad_command_line_is_refused_with_the_word_that_is_wrong, 0,
                        G_N_ELEMENTS(bad_command_lines));
    tcase_add_loop_test(tcase, an_action_is_recognised, 0, G_N_ELEMENTS(actions));
    tcase_add_test(tcase, help_and_version_work_with_a_broken_key_file);
    tcase_add_test(tcase, thawing_works_with_a_broken_key_file_and_anything_else_does_not);
    tcase_add_test(tcase, thawing_uses_what_a_broken_key_file_says_before_the_error);
    tcase_add_test(tcase, every_key_of_the_file_is_read);
    tcase_add_test(tcase, the_command_line_wins_over_the_file);
    tcase_add_test(tcase, lists_of_file_and_command_line_add_up);
    tcase_add_test(tcase, the_old_names_of_the_block_list_work);
    tcase_add_test(tcase, a_block_list_in_the_file_excludes_an_allow_list_on_the_command_line);
    tcase_add_test(tcase, an_empty_allow_list_is_no_allow_list);
    tcase_add_test(tcase, a_file_named_on_the_command_line_goes_before_the_environment);
    tcase_add_test(tcase, relative_paths_become_absolute);
    tcase_add_loop_test(tcase, a_bad_key_file_is_refused_with_file_line_and_key, 0,
                        G_N_ELEMENTS(bad_files));
    tcase_add_test(tcase, a_file_that_is_no_key_file_is_refused);
    tcase_add_test(tcase, the_dump_begins_as_that_of_qemu_ga);
    tcase_add_test(tcase, a_dump_that_is_read_again_gives_the_same_dump);
    tcase_add_test(tcase, the_key_file_that_is_shipped_states_the_defaults);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
