/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/probe-error.h"
#include "prober/target.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    TargetOptions options;
    const char *name;
    const char *words;
} guests[] = {
    {{.socket_path = "/run/vm 1.agent"}, "/run/vm 1.agent", "--socket '/run/vm 1.agent'"},
    {{.vsock = "3"}, "vsock 3:1234", "--vsock 3:1234"},
    {{.vsock = "4294967294:4294967294"},
     "vsock 4294967294:4294967294",
     "--vsock 4294967294:4294967294"},
    {{.domain = "vm 1"}, "vm 1", "--domain 'vm 1'"},
    {{.domain = "vm1", .connect_uri = "qemu:///system"},
     "vm1",
     "--connect 'qemu:///system' --domain 'vm1'"},
};

START_TEST(a_guest_is_named_and_found_again_by_its_words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Target) target = target_new(&guests[_i].options, &error);

    ck_assert_msg(target != NULL, "%s", error ? error->message : "");
    g_autoptr(Target) copy = target_copy(target);
    ck_assert_str_eq(copy->name, guests[_i].name);
    ck_assert_str_eq(copy->words, guests[_i].words);

    g_autoptr(AgentLink) link = target_agent(copy, 1000);
    ck_assert_str_eq(agent_link_name(link), guests[_i].name);
    ck_assert_str_eq(agent_link_words(link), guests[_i].words);
}
END_TEST

static const struct {
    TargetOptions options;
    const char *message; /* a part of it */
} mistakes[] = {
    {{.qmp_path = "/run/qmp"}, "add --socket PATH"},
    {{.socket_path = "/run/agent", .vsock = "3"}, "give one of them"},
    {{.vsock = "3", .domain = "vm1"}, "give one of them"},
    {{.socket_path = "/run/agent", .connect_uri = "qemu:///system"}, "add --domain NAME"},
    {{.connect_uri = "qemu:///system"}, "add --domain NAME"},
    {{.vsock = ""}, "--vsock must be"},
    {{.vsock = "0"}, "--vsock must be"},
    {{.vsock = "-1"}, "--vsock must be"},
    {{.vsock = "4294967295"}, "--vsock must be"},
    {{.vsock = "3:"}, "--vsock must be"},
    {{.vsock = "3:0"}, "--vsock must be"},
    {{.vsock = "3:4294967295"}, "--vsock must be"},
    {{.vsock = "3:1234:5"}, "--vsock must be"},
    {{.vsock = "vm1"}, "--vsock must be"},
};

START_TEST(anything_but_one_way_to_an_agent_is_a_usage_error)
{
    g_autoptr(GError) error = NULL;

    ck_assert_ptr_null(target_new(&mistakes[_i].options, &error));
    ck_assert(g_error_matches(error, PROBE_ERROR, PROBE_ERROR_USAGE));
    ck_assert_msg(strstr(error->message, mistakes[_i].message) != NULL, "%s", error->message);
}
END_TEST

START_TEST(counters_without_a_source_come_with_a_remedy)
{
    const TargetOptions options = {.socket_path = "/run/agent"};
    g_autoptr(Target) target = target_new(&options, NULL);
    g_autoptr(GError) error = NULL;
    const char *remedy = NULL;

    ck_assert_ptr_null(target_counters(target, 1000, -1, &remedy, &error));
    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(remedy, "add --qmp PATH");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("target");
    TCase *options = tcase_create("options");

    tcase_add_loop_test(options, a_guest_is_named_and_found_again_by_its_words, 0,
                        G_N_ELEMENTS(guests));
    tcase_add_loop_test(options, anything_but_one_way_to_an_agent_is_a_usage_error, 0,
                        G_N_ELEMENTS(mistakes));
    tcase_add_test(options, counters_without_a_source_come_with_a_remedy);
    suite_add_tcase(suite, options);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
