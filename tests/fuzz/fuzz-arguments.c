/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json-values.h"
#include "protocol/arguments.h"

#include <string.h>

/* A table with an argument of every kind. */
typedef struct {
    char *name;
    int64_t number;
    bool has_number;
} Inner;

typedef struct {
    bool flag;
    int64_t integer;
    bool has_integer;
    uint64_t natural;
    double number;
    char *string;
    ArgumentBytes bytes;
    int choice;
    Inner *inner;
    char **strings;
    GPtrArray *inners;
    ArgumentAlternate alternate;
} Everything;

static const char *const choices[] = {"none", "some", "all", NULL};

static const Argument inner_table[] = {
    ARGUMENT("name", ARGUMENT_STRING, REQUIRED, Inner, name),
    ARGUMENT_WITH_PRESENCE("number", ARGUMENT_INTEGER, Inner, number, has_number),
    ARGUMENT_END,
};

static const Argument variants[] = {
    ARGUMENT("value", ARGUMENT_INTEGER, REQUIRED, ArgumentAlternate, integer),
    ARGUMENT("flag", ARGUMENT_BOOLEAN, REQUIRED, ArgumentAlternate, boolean),
    ARGUMENT_ENUM_OF("name", REQUIRED, ArgumentAlternate, enumeration, choices),
    ARGUMENT_END,
};

static const Argument table[] = {
    ARGUMENT("flag", ARGUMENT_BOOLEAN, OPTIONAL, Everything, flag),
    ARGUMENT_WITH_PRESENCE("integer", ARGUMENT_INTEGER, Everything, integer, has_integer),
    ARGUMENT("natural", ARGUMENT_UNSIGNED, OPTIONAL, Everything, natural),
    ARGUMENT("number", ARGUMENT_NUMBER, OPTIONAL, Everything, number),
    ARGUMENT("string", ARGUMENT_STRING, OPTIONAL, Everything, string),
    ARGUMENT("bytes", ARGUMENT_BASE64, OPTIONAL, Everything, bytes),
    ARGUMENT_ENUM_OF("choice", OPTIONAL, Everything, choice, choices),
    ARGUMENT_STRUCT_OF("inner", ARGUMENT_STRUCT, OPTIONAL, Everything, inner, inner_table, Inner),
    ARGUMENT("strings", ARGUMENT_STRINGS, OPTIONAL, Everything, strings),
    ARGUMENT_STRUCT_OF("inners", ARGUMENT_STRUCTS, OPTIONAL, Everything, inners, inner_table,
                       Inner),
    ARGUMENT_ALTERNATE_OF("alternate", OPTIONAL, Everything, alternate, "Choice", variants),
    ARGUMENT_END,
};

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static void check_text(const char *text)
{
    g_assert(g_utf8_validate(text, -1, NULL));
}

static void check_inner(gpointer data, gpointer unused)
{
    check_text(((const Inner *)data)->name);
}

/* Base64 stands for nothing else than what was sent, but for the padding's spare bits. */
static void check_bytes(const ArgumentBytes *bytes, json_object *object)
{
    json_object *sent = NULL;

    if (!json_object_object_get_ex(object, "bytes", &sent) || bytes->bytes == NULL)
        return;
    g_autofree char *text = g_base64_encode(bytes->bytes, bytes->length);
    g_assert(strlen(text) == (size_t)json_object_get_string_len(sent));
    g_assert(strncmp(text, json_object_get_string(sent), bytes->length / 3 * 4) == 0);
}

static void check_values(const Everything *values, json_object *object)
{
    if (values->string)
        check_text(values->string);
    for (char **string = values->strings; string && *string; string++)
        check_text(*string);
    if (values->inner)
        check_inner(values->inner, NULL);
    if (values->inners)
        g_ptr_array_foreach(values->inners, check_inner, NULL);
    g_assert(values->choice >= 0 && values->choice < 3);
    check_bytes(&values->bytes, object);
}

static void take_arguments(json_object *value)
{
    g_autoptr(GError) error = NULL;
    Everything values;

    if (!json_object_is_type(value, json_type_object))
        return;
    if (arguments_parse(table, value, &values, sizeof values, &error))
        check_values(&values, value);
    else
        check_text(error->message);
    arguments_clear(table, &values);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    json_values_each(input, length, take_arguments);
    return 0;
}
