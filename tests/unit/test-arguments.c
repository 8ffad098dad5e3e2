/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/arguments.h"
#include "protocol/excerpt.h"
#include "protocol/protocol-error.h"
#include "protocol/request.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t logical_id;
    bool online;
    bool can_offline;
    bool has_can_offline;
    char *note;
} Processor;

typedef struct {
    char *id;
    Processor *inner;
} Nested;

typedef struct {
    bool flag;
    int64_t id;
    int64_t count;
    bool has_count;
    uint64_t natural;
    double ratio;
    char *path;
    int colour;
    Nested *nested;
    char **mountpoints;
    GPtrArray *vcpus;
    ArgumentAlternate whence;
} Everything;

static const char *const colours[] = {"red", "green", NULL};

static const Argument processor_members[] = {
    ARGUMENT("logical-id", ARGUMENT_INTEGER, REQUIRED, Processor, logical_id),
    ARGUMENT("online", ARGUMENT_BOOLEAN, REQUIRED, Processor, online),
    ARGUMENT_WITH_PRESENCE("can-offline", ARGUMENT_BOOLEAN, Processor, can_offline,
                           has_can_offline),
    ARGUMENT("note", ARGUMENT_STRING, OPTIONAL, Processor, note),
    ARGUMENT_END,
};

static const Argument nested_members[] = {
    ARGUMENT("id", ARGUMENT_STRING, OPTIONAL, Nested, id),
    ARGUMENT_STRUCT_OF("inner", ARGUMENT_STRUCT, OPTIONAL, Nested, inner, processor_members,
                       Processor),
    ARGUMENT_END,
};

static const Argument whence_variants[] = {
    ARGUMENT("value", ARGUMENT_INTEGER, REQUIRED, ArgumentAlternate, integer),
    ARGUMENT_ENUM_OF("name", REQUIRED, ArgumentAlternate, enumeration, colours),
    ARGUMENT_END,
};

static const Argument flag_or_text_variants[] = {
    ARGUMENT("flag", ARGUMENT_BOOLEAN, REQUIRED, ArgumentAlternate, boolean),
    ARGUMENT("text", ARGUMENT_STRING, REQUIRED, ArgumentAlternate, string),
    ARGUMENT_END,
};

static const Argument table[] = {
    ARGUMENT("id", ARGUMENT_INTEGER, REQUIRED, Everything, id),
    ARGUMENT("flag", ARGUMENT_BOOLEAN, OPTIONAL, Everything, flag),
    ARGUMENT_WITH_PRESENCE("count", ARGUMENT_INTEGER, Everything, count, has_count),
    ARGUMENT("natural", ARGUMENT_UNSIGNED, OPTIONAL, Everything, natural),
    ARGUMENT("ratio", ARGUMENT_NUMBER, OPTIONAL, Everything, ratio),
    ARGUMENT("path", ARGUMENT_STRING, OPTIONAL, Everything, path),
    ARGUMENT_ENUM_OF("colour", OPTIONAL, Everything, colour, colours),
    ARGUMENT_STRUCT_OF("nested", ARGUMENT_STRUCT, OPTIONAL, Everything, nested, nested_members,
                       Nested),
    ARGUMENT("mountpoints", ARGUMENT_STRINGS, OPTIONAL, Everything, mountpoints),
    ARGUMENT_STRUCT_OF("vcpus", ARGUMENT_STRUCTS, OPTIONAL, Everything, vcpus, processor_members,
                       Processor),
    ARGUMENT_ALTERNATE_OF("whence", OPTIONAL, Everything, whence, "GuestFileWhence",
                          whence_variants),
    ARGUMENT_END,
};

static Everything values;

static bool parse_with(const Argument *rows, const char *text, GError **error)
{
    json_object *object = json_tokener_parse(text);
    bool parsed = arguments_parse(rows, object, &values, sizeof values, error);

    ck_assert_msg(object != NULL, "%s is no JSON", text);
    /* Strings are copies. */
    json_object_put(object);
    return parsed;
}

static void clear(void)
{
    static const Everything nothing;

    arguments_clear(table, &values);
    ck_assert_ptr_null(values.path);
    ck_assert_ptr_null(values.nested);
    ck_assert_ptr_null(values.mountpoints);
    ck_assert_ptr_null(values.vcpus);
    ck_assert_ptr_null(values.whence.variant);
    values = nothing;
}

static void assert_parses(const char *text)
{
    g_autoptr(GError) error = NULL;

    ck_assert_msg(parse_with(table, text, &error), "%s: %s", text,
                  error != NULL ? error->message : "");
    ck_assert_ptr_null(error);
}

START_TEST(each_type_goes_to_its_place)
{
    assert_parses("{\"id\": -5, \"flag\": true, \"count\": 0, \"natural\": 18446744073709551615,"
                  " \"ratio\": 1.5, \"path\": \"/a\", \"colour\": \"green\","
                  " \"nested\": {\"id\": \"n\", \"inner\": {\"logical-id\": 1, \"online\": true}},"
                  " \"mountpoints\": [\"/\", \"/home\"],"
                  " \"vcpus\": [{\"logical-id\": 0, \"online\": false, \"can-offline\": false},"
                  "             {\"logical-id\": 1, \"online\": true, \"note\": \"x\"}],"
                  " \"whence\": 7}");
    ck_assert_int_eq(values.id, -5);
    ck_assert(values.flag);
    ck_assert(values.has_count);
    ck_assert_int_eq(values.count, 0);
    ck_assert_uint_eq(values.natural, UINT64_MAX);
    ck_assert_double_eq(values.ratio, 1.5);
    ck_assert_str_eq(values.path, "/a");
    ck_assert_int_eq(values.colour, 1);
    ck_assert_str_eq(values.nested->id, "n");
    ck_assert_int_eq(values.nested->inner->logical_id, 1);
    ck_assert_uint_eq(g_strv_length(values.mountpoints), 2);
    ck_assert_str_eq(values.mountpoints[1], "/home");
    ck_assert_uint_eq(values.vcpus->len, 2);
    const Processor *first = values.vcpus->pdata[0], *second = values.vcpus->pdata[1];
    ck_assert(first->has_can_offline && !first->online && first->note == NULL);
    ck_assert(!second->has_can_offline && second->online);
    ck_assert_str_eq(second->note, "x");
    ck_assert_ptr_eq(values.whence.variant, &whence_variants[0]);
    ck_assert_int_eq(values.whence.integer, 7);
    clear();
}
END_TEST

START_TEST(what_is_absent_is_zero)
{
    memset(&values, 0x55, sizeof values);
    assert_parses("{\"id\": 1}");
    ck_assert(!values.flag && !values.has_count && values.count == 0 && values.natural == 0);
    ck_assert(values.path == NULL && values.nested == NULL && values.mountpoints == NULL);
    ck_assert(values.vcpus == NULL && values.whence.variant == NULL);
    clear();
}
END_TEST

START_TEST(empty_lists_are_lists)
{
    assert_parses("{\"id\": 1, \"mountpoints\": [], \"vcpus\": []}");
    ck_assert_uint_eq(g_strv_length(values.mountpoints), 0);
    ck_assert_uint_eq(values.vcpus->len, 0);
    clear();
}
END_TEST

START_TEST(an_alternate_takes_the_variant_of_the_json_type)
{
    static const Argument capture[] = {
        ARGUMENT_ALTERNATE_OF("whence", REQUIRED, Everything, whence, "Capture",
                              flag_or_text_variants),
        ARGUMENT_END,
    };
    assert_parses("{\"id\": 1, \"whence\": \"green\"}");
    ck_assert_ptr_eq(values.whence.variant, &whence_variants[1]);
    ck_assert_int_eq(values.whence.enumeration, 1);
    clear();

    ck_assert(parse_with(capture, "{\"whence\": \"some text\"}", NULL));
    ck_assert_str_eq(values.whence.string, "some text");
    arguments_clear(capture, &values);
    ck_assert_ptr_null(values.whence.variant);
    ck_assert(parse_with(capture, "{\"whence\": true}", NULL));
    ck_assert(values.whence.boolean);
    arguments_clear(capture, &values);
}
END_TEST

START_TEST(integers_use_their_whole_range)
{
    assert_parses("{\"id\": -9223372036854775808}");
    ck_assert(values.id == INT64_MIN);
    assert_parses("{\"id\": 9223372036854775807, \"ratio\": 3}");
    ck_assert(values.id == INT64_MAX);
    ck_assert_double_eq(values.ratio, 3);
}
END_TEST

/* The texts are those of qemu-ga 7.2.22, read off the wire, unless said otherwise. */
static const struct {
    const char *arguments;
    const char *error;
} wrong[] = {
    {"{}", "Parameter 'id' is missing"},
    {"{\"y\": 1}", "Parameter 'id' is missing"},
    {"{\"id\": 1, \"y\": null}", "Parameter 'y' is unexpected"},
    {"{\"id\": \"1\"}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": null}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": 1.5}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": 1.0}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": 1e2}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": true}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": 9223372036854775808}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": 18446744073709551615}", "Invalid parameter type for 'id', expected: integer"},
    {"{\"id\": 1, \"count\": 1.5}", "Invalid parameter type for 'count', expected: integer"},
    {"{\"id\": 1, \"flag\": 1}", "Invalid parameter type for 'flag', expected: boolean"},
    {"{\"id\": 1, \"flag\": null}", "Invalid parameter type for 'flag', expected: boolean"},
    {"{\"id\": 1, \"natural\": \"x\"}", "Parameter 'natural' expects uint64"},
    {"{\"id\": 1, \"natural\": 1.5}", "Parameter 'natural' expects uint64"},
    /* qemu-ga takes it for 18446744073709551615. */
    {"{\"id\": 1, \"natural\": -1}", "Parameter 'natural' expects uint64"},
    {"{\"id\": 1, \"ratio\": \"1\"}", "Invalid parameter type for 'ratio', expected: number"},
    {"{\"id\": 1, \"path\": 5}", "Invalid parameter type for 'path', expected: string"},
    {"{\"id\": 1, \"path\": null}", "Invalid parameter type for 'path', expected: string"},
    /* qemu-ga puts the bytes C0 80 into the path. */
    {"{\"id\": 1, \"path\": \"/etc\\u0000/x\"}",
     "Parameter 'path' must not contain the character \\u0000"},
    {"{\"id\": 1, \"colour\": \"blue\"}", "Parameter 'colour' does not accept value 'blue'"},
    {"{\"id\": 1, \"colour\": \"red\\u0000\"}",
     "Parameter 'colour' does not accept value 'red\\u0000'"},
    {"{\"id\": 1, \"colour\": 1}", "Invalid parameter type for 'colour', expected: string"},
    {"{\"id\": 1, \"nested\": []}", "Invalid parameter type for 'nested', expected: object"},
    {"{\"id\": 1, \"nested\": {\"id\": \"n\", \"inner\": {\"logical-id\": 1}}}",
     "Parameter 'nested.inner.online' is missing"},
    {"{\"id\": 1, \"nested\": {\"id\": \"n\", \"z\": 1}}", "Parameter 'nested.z' is unexpected"},
    {"{\"id\": 1, \"mountpoints\": \"/\"}",
     "Invalid parameter type for 'mountpoints', expected: array"},
    {"{\"id\": 1, \"mountpoints\": [\"/\", 5]}",
     "Invalid parameter type for 'mountpoints[1]', expected: string"},
    {"{\"id\": 1, \"mountpoints\": [null]}",
     "Invalid parameter type for 'mountpoints[0]', expected: string"},
    {"{\"id\": 1, \"mountpoints\": [\"\\u0000\"]}",
     "Parameter 'mountpoints[0]' must not contain the character \\u0000"},
    {"{\"id\": 1, \"vcpus\": {}}", "Invalid parameter type for 'vcpus', expected: array"},
    {"{\"id\": 1, \"vcpus\": [5]}", "Invalid parameter type for 'vcpus[0]', expected: object"},
    {"{\"id\": 1, \"vcpus\": [{\"logical-id\": 0}]}", "Parameter 'vcpus[0].online' is missing"},
    {"{\"id\": 1, \"vcpus\": [{\"logical-id\": 0, \"online\": true, \"note\": \"x\"},"
     " {\"logical-id\": 1, \"online\": 5}]}",
     "Invalid parameter type for 'vcpus[1].online', expected: boolean"},
    {"{\"id\": 1, \"vcpus\": [{\"logical-id\": 0, \"online\": true, \"note\": \"x\", \"z\": 1}]}",
     "Parameter 'vcpus[0].z' is unexpected"},
    {"{\"id\": 1, \"whence\": true}",
     "Invalid parameter type for 'whence', expected: GuestFileWhence"},
    {"{\"id\": 1, \"whence\": 1.5}", "Invalid parameter type for 'whence', expected: integer"},
    {"{\"id\": 1, \"whence\": \"foo\"}", "Parameter 'whence' does not accept value 'foo'"},
};

START_TEST(wrong_arguments_get_the_error_of_the_table)
{
    g_autoptr(GError) error = NULL;

    ck_assert(!parse_with(table, wrong[_i].arguments, &error));
    ck_assert(g_error_matches(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC));
    ck_assert_str_eq(error->message, wrong[_i].error);
    /* What had been allocated before the error is freed. */
    clear();
}
END_TEST

START_TEST(a_command_without_arguments_takes_none)
{
    g_autoptr(GError) error = NULL;

    ck_assert(arguments_parse(NULL, NULL, NULL, 0, &error));
    ck_assert(parse_with(NULL, "{}", &error));
    ck_assert(!parse_with(NULL, "{\"y\": 1}", &error));
    ck_assert_str_eq(error->message, "Parameter 'y' is unexpected");
    g_clear_error(&error);
    ck_assert(!arguments_parse(table, NULL, &values, sizeof values, &error));
    ck_assert_str_eq(error->message, "Parameter 'id' is missing");
    arguments_clear(NULL, NULL);
}
END_TEST

START_TEST(an_endless_name_is_cut_short_in_the_error)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = g_strnfill(1000000, 'n');
    g_autofree char *text = g_strdup_printf("{\"id\": 1, \"%s\": 1}", name);

    ck_assert(!parse_with(table, text, &error));
    ck_assert_uint_lt(strlen(error->message), 200);
    ck_assert(g_str_has_suffix(error->message, "nnn...' is unexpected"));
}
END_TEST

START_TEST(errors_have_their_class_on_the_wire)
{
    g_autoptr(GError) missing =
        g_error_new_literal(PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND, "x");
    g_autoptr(GError) generic = g_error_new_literal(PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC, "x");
    g_autoptr(GError) other =
        g_error_new_literal(G_FILE_ERROR, (int)PROTOCOL_ERROR_COMMAND_NOT_FOUND, "x");

    ck_assert_str_eq(protocol_error_class(missing), "CommandNotFound");
    ck_assert_str_eq(protocol_error_class(generic), "GenericError");
    ck_assert_str_eq(protocol_error_class(other), "GenericError");
}
END_TEST

START_TEST(a_request_is_command_arguments_and_id)
{
    json_object *value =
        json_tokener_parse("{\"id\": [1], \"arguments\": {\"a\": 1}, \"execute\": \"guest-ping\"}");
    Request request;

    ck_assert(request_parse(value, &request, NULL));
    ck_assert_str_eq(request.command, "guest-ping");
    ck_assert_int_eq(json_object_object_length(request.arguments), 1);
    ck_assert(request.has_id);
    ck_assert_int_eq(json_object_get_type(request.id), json_type_array);
    json_object_put(value);

    value = json_tokener_parse("{\"execute\": \"guest-ping\"}");
    ck_assert(request_parse(value, &request, NULL));
    ck_assert(!request.has_id);
    ck_assert_ptr_null(request.arguments);
    json_object_put(value);

    value = json_tokener_parse("{\"execute\": \"guest-ping\", \"id\": null}");
    ck_assert(request_parse(value, &request, NULL));
    ck_assert(request.has_id);
    ck_assert_ptr_null(request.id);
    json_object_put(value);
}
END_TEST

/* As qemu-ga 7.2.22 answers, id included. */
static const struct {
    const char *request;
    const char *error;
    bool has_id;
} no_requests[] = {
    {"5", "QMP input must be a JSON object"},
    {"null", "QMP input must be a JSON object"},
    {"\"x\"", "QMP input must be a JSON object"},
    {"[{\"execute\": \"guest-ping\"}]", "QMP input must be a JSON object"},
    {"{}", "QMP input lacks member 'execute'"},
    {"{\"id\": 1}", "QMP input lacks member 'execute'", true},
    {"{\"foo\": 1, \"id\": 7}", "QMP input member 'foo' is unexpected", true},
    {"{\"exec-oob\": \"guest-ping\"}", "QMP input member 'exec-oob' is unexpected"},
    {"{\"execute\": 5, \"id\": 7}", "QMP input member 'execute' must be a string", true},
    {"{\"execute\": null}", "QMP input member 'execute' must be a string"},
    {"{\"foo\": 1, \"execute\": 5}", "QMP input member 'execute' must be a string"},
    {"{\"arguments\": 5, \"execute\": 5}", "QMP input member 'execute' must be a string"},
    {"{\"execute\": \"guest-ping\", \"arguments\": 5, \"id\": null}",
     "QMP input member 'arguments' must be an object", true},
    {"{\"execute\": \"guest-ping\", \"arguments\": null}",
     "QMP input member 'arguments' must be an object"},
    {"{\"execute\": \"guest-ping\\u0000x\"}", "The command guest-ping\\u0000x has not been found"},
};

START_TEST(what_is_no_request_gets_the_error_of_the_table)
{
    g_autoptr(GError) error = NULL;
    json_object *value = json_tokener_parse(no_requests[_i].request);
    Request request;

    ck_assert(!request_parse(value, &request, &error));
    ck_assert_ptr_null(request.command);
    ck_assert_str_eq(error->message, no_requests[_i].error);
    ck_assert_int_eq(request.has_id, no_requests[_i].has_id);
    ck_assert_str_eq(protocol_error_class(error), g_str_has_prefix(error->message, "The command")
                                                      ? "CommandNotFound"
                                                      : "GenericError");
    json_object_put(value);
}
END_TEST

START_TEST(an_excerpt_is_short_printable_and_utf8)
{
    static const struct {
        const char *text;
        size_t length;
        const char *excerpt;
    } rows[] = {
        {"", 0, ""},
        {"12345", 5, "12345"},
        {"123456", 6, "12345..."},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a\0\n", 3, "a\\u0000\\u000a"},
        {"\x1b[0m", 4, "\\u001b[0m"},
        {"\xe2\x80\xae", 3, "\\u202e"},
        {"\xff\xc3", 2, "\xef\xbf\xbd\xef\xbf\xbd"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *excerpt = excerpt_new(rows[i].text, rows[i].length, 5);
        ck_assert_str_eq(excerpt, rows[i].excerpt);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arguments");
    TCase *tests = tcase_create("arguments");

    tcase_add_test(tests, each_type_goes_to_its_place);
    tcase_add_test(tests, what_is_absent_is_zero);
    tcase_add_test(tests, empty_lists_are_lists);
    tcase_add_test(tests, an_alternate_takes_the_variant_of_the_json_type);
    tcase_add_test(tests, integers_use_their_whole_range);
    tcase_add_loop_test(tests, wrong_arguments_get_the_error_of_the_table, 0, G_N_ELEMENTS(wrong));
    tcase_add_test(tests, a_command_without_arguments_takes_none);
    tcase_add_test(tests, an_endless_name_is_cut_short_in_the_error);
    tcase_add_test(tests, errors_have_their_class_on_the_wire);
    tcase_add_test(tests, a_request_is_command_arguments_and_id);
    tcase_add_loop_test(tests, what_is_no_request_gets_the_error_of_the_table, 0,
                        G_N_ELEMENTS(no_requests));
    tcase_add_test(tests, an_excerpt_is_short_printable_and_utf8);
    suite_add_tcase(suite, tests);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
