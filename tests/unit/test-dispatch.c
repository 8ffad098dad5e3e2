/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config.h"
#include "agent/dispatch.h"
#include "agent/freeze-engine.h"
#include "protocol/protocol-error.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The engine for the tests: they say whether it is frozen. Weak, so that the real one, where a
 * command of the agent's needs it, goes before. */
static FreezeState engine_state;

__attribute__((weak)) FreezeState freeze_engine_state(const FreezeEngine *engine)
{
    return engine_state;
}

typedef struct {
    char *text;
} EchoArguments;

static const Argument echo_arguments[] = {
    ARGUMENT("text", ARGUMENT_STRING, REQUIRED, EchoArguments, text),
    ARGUMENT_END,
};

static bool run_echo(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    json_writer_string(reply, "return", ((const EchoArguments *)arguments)->text);
    return true;
}

static bool run_fail(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    json_writer_begin_object(reply, "return");
    json_writer_string(reply, "half", "a reply");
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "cannot open '/nope': not there");
    return false;
}

static bool run_empty(Agent *agent, const void *arguments, JsonWriter *reply, GError **error)
{
    json_writer_begin_object(reply, "return");
    json_writer_end_object(reply);
    return true;
}

/* What test-slow was given, to be finished by the test. */
static CommandCall *slow_call;
static const EchoArguments *slow_arguments;

static void start_slow(Agent *agent, const void *arguments, CommandCall *call)
{
    slow_call = call;
    slow_arguments = arguments;
}

static const Command test_commands[] = {
    {.name = "test-echo",
     .arguments = echo_arguments,
     .arguments_size = sizeof(EchoArguments),
     .run = run_echo},
    {.name = "test-fail", .run = run_fail},
    {.name = "test-empty", .run = run_empty, .flags = COMMAND_WHILE_FROZEN},
    {.name = "test-silent", .run = run_empty, .flags = COMMAND_NO_SUCCESS_REPLY},
    {.name = "test-silent-fail", .run = run_fail, .flags = COMMAND_NO_SUCCESS_REPLY},
    {.name = "test-slow",
     .arguments = echo_arguments,
     .arguments_size = sizeof(EchoArguments),
     .start = start_slow},
    {.name = NULL},
};
static const Command *const families[] = {sync_commands, test_commands, NULL};

static Agent agent;
static char *answer;      /* of the last request; NULL when none came */
static unsigned answered; /* how often done was called */

static void set_up(void)
{
    agent = (Agent){0};
    agent.dispatch = dispatch_new_with_families(&agent, families);
    answered = 0;
    answer = NULL;
    slow_call = NULL;
    engine_state = FREEZE_STATE_THAWED;
}

static void tear_down(void)
{
    dispatch_free(agent.dispatch);
    g_clear_pointer(&answer, g_free);
}

static void on_done(GBytes *reply, void *user_data)
{
    size_t length = 0;
    const char *bytes = reply != NULL ? g_bytes_get_data(reply, &length) : NULL;
    ck_assert_ptr_eq(user_data, &agent);
    g_free(answer);
    answer = bytes != NULL ? g_strndup(bytes, length) : NULL;
    answered++;
}

static void ask(const char *text)
{
    dispatch_request(agent.dispatch, json_tokener_parse(text), "test", on_done, &agent);
}

static void assert_answer(const char *request, const char *expected)
{
    unsigned before = answered;
    ask(request);
    ck_assert_uint_eq(answered, before + 1);
    ck_assert_ptr_nonnull(answer);
    ck_assert_str_eq(answer, expected);
}

START_TEST(a_reply_is_one_line)
{
    assert_answer("{\"execute\": \"guest-ping\"}", "{\"return\": {}}\n");
    assert_answer("{\"execute\": \"test-echo\", \"arguments\": {\"text\": \"a\\nb\"}}",
                  "{\"return\": \"a\\nb\"}\n");
}
END_TEST

START_TEST(the_id_comes_back_whatever_its_type)
{
    static const char *const ids[] = {
        "1", "-9223372036854775808", "\"x\"", "null", "true", "1.5", "[1, {}]", "{\"a\": [null]}"};
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *good =
            g_strdup_printf("{\"execute\": \"guest-ping\", \"id\": %s}", ids[i]);
        g_autofree char *good_reply = g_strdup_printf("{\"return\": {}, \"id\": %s}\n", ids[i]);
        assert_answer(good, good_reply);

        g_autofree char *bad = g_strdup_printf("{\"execute\": \"nope\", \"id\": %s}", ids[i]);
        g_autofree char *bad_reply =
            g_strdup_printf("{\"id\": %s, \"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                            "\"The command nope has not been found\"}}\n",
                            ids[i]);
        assert_answer(bad, bad_reply);
    }
}
END_TEST

START_TEST(the_name_of_an_unknown_command_is_cut_short)
{
    g_autofree char *name = g_strnfill(100000, 'n');
    g_autofree char *request = g_strdup_printf("{\"execute\": \"%s\"}", name);
    ask(request);
    ck_assert_ptr_nonnull(strstr(answer, "nnn... has not been found"));
    ck_assert_uint_lt(strlen(answer), 300);
}
END_TEST

/* The rows of ../shared/protocol/README.md that the dispatcher answers for. */
static const struct {
    const char *request;
    const char *error_class;
    const char *desc;
} error_rows[] = {
    {"{\"execute\": \"nope\"}", "CommandNotFound", "The command nope has not been found"},
    {"{\"execute\": \"guest-sync\"}", "GenericError", "Parameter 'id' is missing"},
    {"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": \"x\"}}", "GenericError",
     "Invalid parameter type for 'id', expected: integer"},
    {"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 1, \"y\": 2}}", "GenericError",
     "Parameter 'y' is unexpected"},
    {"{\"execute\": \"guest-ping\", \"arguments\": {\"y\": 2}}", "GenericError",
     "Parameter 'y' is unexpected"},
    {"{\"execute\": \"guest-ping\", \"foo\": 1}", "GenericError",
     "QMP input member 'foo' is unexpected"},
    {"{\"execute\": 3}", "GenericError", "QMP input member 'execute' must be a string"},
    {"{\"execute\": \"guest-ping\", \"arguments\": []}", "GenericError",
     "QMP input member 'arguments' must be an object"},
    {"{}", "GenericError", "QMP input lacks member 'execute'"},
    {"[]", "GenericError", "QMP input must be a JSON object"},
    {"null", "GenericError", "QMP input must be a JSON object"},
    {"{\"execute\": \"test-fail\"}", "GenericError", "cannot open '/nope': not there"},
    {"{\"execute\": \"test-silent-fail\"}", "GenericError", "cannot open '/nope': not there"},
};

START_TEST(a_bad_request_gets_the_error_of_the_table)
{
    g_autofree char *expected =
        g_strdup_printf("{\"error\": {\"class\": \"%s\", \"desc\": \"%s\"}}\n",
                        error_rows[_i].error_class, error_rows[_i].desc);
    assert_answer(error_rows[_i].request, expected);
}
END_TEST

START_TEST(the_delimiter_goes_before_the_reply_of_sync_delimited)
{
    assert_answer("{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": 7}}",
                  "\xff{\"return\": 7}\n");
}
END_TEST

START_TEST(no_delimiter_goes_before_an_error)
{
    assert_answer("{\"execute\": \"guest-sync-delimited\"}",
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Parameter 'id' is "
                  "missing\"}}\n");
}
END_TEST

START_TEST(silent_success_is_done_without_a_reply)
{
    ask("{\"execute\": \"test-silent\"}");
    ck_assert_uint_eq(answered, 1);
    ck_assert_ptr_null(answer);
}
END_TEST

START_TEST(a_slow_command_answers_when_it_is_finished)
{
    ask("{\"execute\": \"test-slow\", \"arguments\": {\"text\": \"wait\"}, \"id\": 3}");
    ck_assert_uint_eq(answered, 0);
    assert_answer("{\"execute\": \"guest-ping\"}", "{\"return\": {}}\n");

    ck_assert_str_eq(slow_arguments->text, "wait");
    json_writer_integer(command_call_reply(slow_call), "return", 42);
    command_call_finish(slow_call, NULL);
    ck_assert_uint_eq(answered, 2);
    ck_assert_str_eq(answer, "{\"return\": 42, \"id\": 3}\n");
}
END_TEST

START_TEST(a_slow_command_may_fail)
{
    ask("{\"execute\": \"test-slow\", \"arguments\": {\"text\": \"\"}, \"id\": 3}");
    command_call_finish(slow_call,
                        g_error_new(PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND, "not today"));
    ck_assert_str_eq(answer, "{\"id\": 3, \"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                             "\"not today\"}}\n");
}
END_TEST

START_TEST(a_slow_command_may_outlive_the_dispatcher)
{
    ask("{\"execute\": \"test-slow\", \"arguments\": {\"text\": \"wait\"}}");
    dispatch_free(agent.dispatch);
    agent.dispatch = NULL;
    ck_assert_str_eq(slow_arguments->text, "wait");
    json_writer_integer(command_call_reply(slow_call), "return", 42);
    command_call_finish(slow_call, NULL);
    ck_assert_uint_eq(answered, 1);
    ck_assert_ptr_null(answer);
}
END_TEST

START_TEST(a_blocked_command_is_not_run)
{
    Config config = {.block_rpcs = (char *[]){(char *)"test-slow", (char *)"unknown", NULL}};
    dispatch_free(agent.dispatch);
    agent.config = &config;
    agent.dispatch = dispatch_new_with_families(&agent, families);
    assert_answer("{\"execute\": \"test-slow\", \"arguments\": {\"text\": \"\"}}",
                  "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Command test-slow has "
                  "been disabled: the command is not allowed\"}}\n");
    ck_assert_ptr_null(slow_call);
}
END_TEST

START_TEST(guest_info_tells_what_a_request_would_find)
{
    char *blocked[] = {(char *)"test-echo", NULL};
    Config config = {.block_rpcs = blocked};
    dispatch_free(agent.dispatch);
    agent.config = &config;
    agent.dispatch = dispatch_new_with_families(&agent, families);
    ask("{\"execute\": \"guest-info\"}");

    json_object *reply = json_tokener_parse(answer);
    json_object *commands =
        json_object_object_get(json_object_object_get(reply, "return"), "supported_commands");
    ck_assert_uint_eq(json_object_array_length(commands), 4 + 6);
    for (size_t i = 0; i < json_object_array_length(commands); i++) {
        json_object *row = json_object_array_get_idx(commands, i);
        const char *name = json_object_get_string(json_object_object_get(row, "name"));
        ck_assert_int_eq(json_object_get_boolean(json_object_object_get(row, "enabled")),
                         strcmp(name, "test-echo") != 0);
        ck_assert_int_eq(json_object_get_boolean(json_object_object_get(row, "success-response")),
                         !g_str_has_prefix(name, "test-silent"));
    }
    json_object_put(reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *tests = tcase_create("dispatch");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_reply_is_one_line);
    tcase_add_test(tests, the_id_comes_back_whatever_its_type);
    tcase_add_test(tests, the_name_of_an_unknown_command_is_cut_short);
    tcase_add_loop_test(tests, a_bad_request_gets_the_error_of_the_table, 0,
                        G_N_ELEMENTS(error_rows));
    tcase_add_test(tests, the_delimiter_goes_before_the_reply_of_sync_delimited);
    tcase_add_test(tests, no_delimiter_goes_before_an_error);
    tcase_add_test(tests, silent_success_is_done_without_a_reply);
    tcase_add_test(tests, a_slow_command_answers_when_it_is_finished);
    tcase_add_test(tests, a_slow_command_may_fail);
    tcase_add_test(tests, a_slow_command_may_outlive_the_dispatcher);
    tcase_add_test(tests, a_blocked_command_is_not_run);
    tcase_add_test(tests, guest_info_tells_what_a_request_would_find);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
