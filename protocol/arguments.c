/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/arguments.h"

#include "protocol/base64.h"
#include "protocol/excerpt.h"
#include "protocol/protocol-error.h"

#include <string.h>

/* Where a value stands in the request; written out only when there is an error to tell. */
typedef struct Path Path;
struct Path {
    const Path *parent;
    const char *name; /* NULL: an element of a list */
    size_t index;
};

/* How the values of one ArgumentType are checked, stored at *slot and freed again. */
typedef struct {
    enum json_type json_type;
    const char *expected; /* the word in the error */
    bool (*store)(const Argument *row, json_object *value, void *slot, const Path *path,
                  GError **error);
    void (*clear)(const Argument *row, void *slot); /* NULL: nothing to free */
} ArgumentKind;

static const ArgumentKind argument_kinds[];

static void *slot_of(const Argument *row, void *values)
{
    return (char *)values + row->offset;
}

static void path_append(const Path *path, GString *text)
{
    if (path->parent != NULL)
        path_append(path->parent, text);
    if (path->name == NULL) {
        g_string_append_printf(text, "[%zu]", path->index);
        return;
    }
    g_autofree char *name = excerpt_new(path->name, strlen(path->name), EXCERPT_NAME_CHARACTERS);
    g_string_append_printf(text, "%s%s", text->len > 0 ? "." : "", name);
}

static char *path_text(const Path *path)
{
    GString *text = g_string_new(NULL);
    path_append(path, text);
    return g_string_free(text, FALSE);
}

static bool refuse(GError **error, const Path *path, const char *what)
{
    g_autofree char *where = path_text(path);
    g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC, "Parameter '%s' %s", where, what);
    return false;
}

static bool refuse_type(GError **error, const Path *path, const char *expected)
{
    g_autofree char *where = path_text(path);
    g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC,
                "Invalid parameter type for '%s', expected: %s", where, expected);
    return false;
}

static bool store_checked(const Argument *row, json_object *value, void *slot, const Path *path,
                          GError **error)
{
    const ArgumentKind *kind = &argument_kinds[row->type];

    if (kind->expected != NULL && !json_object_is_type(value, kind->json_type))
        return refuse_type(error, path, kind->expected);
    return kind->store(row, value, slot, path, error);
}

static bool store_boolean(const Argument *row, json_object *value, void *slot, const Path *path,
                          GError **error)
{
    *(bool *)slot = json_object_get_boolean(value);
    return true;
}

static bool store_integer(const Argument *row, json_object *value, void *slot, const Path *path,
                          GError **error)
{
    /* json-c keeps what exceeds INT64_MAX as unsigned and clamps it when asked for an int64_t. */
    if (json_object_get_int64(value) == INT64_MAX && json_object_get_uint64(value) != INT64_MAX)
        return refuse_type(error, path, "integer");
    *(int64_t *)slot = json_object_get_int64(value);
    return true;
}

static bool store_unsigned(const Argument *row, json_object *value, void *slot, const Path *path,
                           GError **error)
{
    /* qemu-ga lets negative numbers wrap around; nobody means that. */
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return refuse(error, path, "expects uint64");
    *(uint64_t *)slot = json_object_get_uint64(value);
    return true;
}

static bool store_number(const Argument *row, json_object *value, void *slot, const Path *path,
                         GError **error)
{
    if (!json_object_is_type(value, json_type_double) && !json_object_is_type(value, json_type_int))
        return refuse_type(error, path, "number");
    *(double *)slot = json_object_get_double(value);
    return true;
}

static bool store_string(const Argument *row, json_object *value, void *slot, const Path *path,
                         GError **error)
{
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);

    /* Cut short at the NUL it would name another file than the host asked for. */
    if (memchr(text, '\0', length) != NULL)
        return refuse(error, path, "must not contain the character \\u0000");
    *(char **)slot = g_strndup(text, length);
    return true;
}

static bool store_base64(const Argument *row, json_object *value, void *slot, const Path *path,
                         GError **error)
{
    ArgumentBytes *decoded = slot;
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);

    /* Freed with the other arguments. */
    decoded->bytes = g_malloc(BASE64_DECODED_ROOM(length));
    if (!base64_decode(text, length, decoded->bytes, &decoded->length))
        return refuse(error, path, "is not valid base64");
    return true;
}

static bool store_enum(const Argument *row, json_object *value, void *slot, const Path *path,
                       GError **error)
{
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);

    for (int i = 0; row->names[i] != NULL; i++) {
        if (strlen(row->names[i]) == length && memcmp(row->names[i], text, length) == 0) {
            *(int *)slot = i;
            return true;
        }
    }
    g_autofree char *shown = excerpt_new(text, length, EXCERPT_NAME_CHARACTERS);
    g_autofree char *what = g_strdup_printf("does not accept value '%s'", shown);
    return refuse(error, path, what);
}

static bool is_known(const Argument *table, const char *name)
{
    for (const Argument *row = table; row != NULL && row->name != NULL; row++) {
        if (g_str_equal(row->name, name))
            return true;
    }
    return false;
}

static bool store_member(const Argument *row, json_object *object, void *values, const Path *parent,
                         GError **error)
{
    Path path = {.parent = parent, .name = row->name};
    json_object *value = NULL;

    if (!json_object_object_get_ex(object, row->name, &value))
        return row->optional || refuse(error, &path, "is missing");
    if (!store_checked(row, value, slot_of(row, values), &path, error))
        return false;
    if (row->presence_offset != ARGUMENT_NO_PRESENCE)
        *(bool *)((char *)values + row->presence_offset) = true;
    return true;
}

static bool store_members(const Argument *table, json_object *object, void *values,
                          const Path *parent, GError **error)
{
    for (const Argument *row = table; row != NULL && row->name != NULL; row++) {
        if (!store_member(row, object, values, parent, error))
            return false;
    }
    if (object == NULL)
        return true;
    struct json_object_iter member;
    json_object_object_foreachC(object, member)
    {
        Path path = {.parent = parent, .name = member.key};
        if (!is_known(table, member.key))
            return refuse(error, &path, "is unexpected");
    }
    return true;
}

static bool store_struct(const Argument *row, json_object *value, void *slot, const Path *path,
                         GError **error)
{
    void *values = g_malloc0(row->members_size);

    *(void **)slot = values;
    return store_members(row->members, value, values, path, error);
}

static bool store_strings(const Argument *row, json_object *value, void *slot, const Path *path,
                          GError **error)
{
    size_t count = json_object_array_length(value);
    char **strings = g_new0(char *, count + 1);

    *(char ***)slot = strings;
    for (size_t i = 0; i < count; i++) {
        Path element_path = {.parent = path, .index = i};
        json_object *element = json_object_array_get_idx(value, i);
        if (!json_object_is_type(element, json_type_string))
            return refuse_type(error, &element_path, "string");
        if (!store_string(row, element, &strings[i], &element_path, error))
            return false;
    }
    return true;
}

static bool store_structs(const Argument *row, json_object *value, void *slot, const Path *path,
                          GError **error)
{
    size_t count = json_object_array_length(value);
    GPtrArray *structs = g_ptr_array_sized_new((guint)count);

    *(GPtrArray **)slot = structs;
    for (size_t i = 0; i < count; i++) {
        Path element_path = {.parent = path, .index = i};
        json_object *element = json_object_array_get_idx(value, i);
        if (!json_object_is_type(element, json_type_object))
            return refuse_type(error, &element_path, "object");
        g_ptr_array_add(structs, g_malloc0(row->members_size));
        if (!store_members(row->members, element, structs->pdata[i], &element_path, error))
            return false;
    }
    return true;
}

static bool variant_takes(const Argument *variant, json_object *value)
{
    const ArgumentKind *kind = &argument_kinds[variant->type];

    return json_object_is_type(value, kind->json_type) ||
           (kind->json_type == json_type_int && json_object_is_type(value, json_type_double));
}

static bool store_alternate(const Argument *row, json_object *value, void *slot, const Path *path,
                            GError **error)
{
    ArgumentAlternate *alternate = slot;

    for (const Argument *variant = row->members; variant->name != NULL; variant++) {
        if (!variant_takes(variant, value))
            continue;
        alternate->variant = variant;
        return store_checked(variant, value, slot_of(variant, alternate), path, error);
    }
    return refuse_type(error, path, row->type_name);
}

static void clear_string(const Argument *row, void *slot)
{
    g_clear_pointer((char **)slot, g_free);
}

static void clear_base64(const Argument *row, void *slot)
{
    ArgumentBytes *decoded = slot;

    g_clear_pointer(&decoded->bytes, g_free);
    decoded->length = 0;
}

static void clear_strings(const Argument *row, void *slot)
{
    g_clear_pointer((char ***)slot, g_strfreev);
}

static void clear_struct(const Argument *row, void *slot)
{
    if (*(void **)slot != NULL)
        arguments_clear(row->members, *(void **)slot);
    g_clear_pointer((void **)slot, g_free);
}

static void clear_structs(const Argument *row, void *slot)
{
    GPtrArray *structs = *(GPtrArray **)slot;

    for (guint i = 0; structs != NULL && i < structs->len; i++) {
        arguments_clear(row->members, structs->pdata[i]);
        g_free(structs->pdata[i]);
    }
    g_clear_pointer((GPtrArray **)slot, g_ptr_array_unref);
}

static void clear_alternate(const Argument *row, void *slot)
{
    ArgumentAlternate *alternate = slot;
    const Argument *variant = alternate->variant;

    if (variant != NULL && argument_kinds[variant->type].clear != NULL)
        argument_kinds[variant->type].clear(variant, slot_of(variant, alternate));
    alternate->variant = NULL;
}

/* A kind without .expected checks the JSON type itself. */
static const ArgumentKind argument_kinds[] = {
    [ARGUMENT_BOOLEAN] = {json_type_boolean, "boolean", store_boolean, NULL},
    [ARGUMENT_INTEGER] = {json_type_int, "integer", store_integer, NULL},
    [ARGUMENT_UNSIGNED] = {json_type_int, NULL, store_unsigned, NULL},
    [ARGUMENT_NUMBER] = {json_type_int, NULL, store_number, NULL},
    [ARGUMENT_STRING] = {json_type_string, "string", store_string, clear_string},
    [ARGUMENT_BASE64] = {json_type_string, "string", store_base64, clear_base64},
    [ARGUMENT_ENUM] = {json_type_string, "string", store_enum, NULL},
    [ARGUMENT_STRUCT] = {json_type_object, "object", store_struct, clear_struct},
    [ARGUMENT_STRINGS] = {json_type_array, "array", store_strings, clear_strings},
    [ARGUMENT_STRUCTS] = {json_type_array, "array", store_structs, clear_structs},
    [ARGUMENT_ALTERNATE] = {json_type_null, NULL, store_alternate, clear_alternate},
};

bool arguments_parse(const Argument *table, json_object *object, void *values, size_t values_size,
                     GError **error)
{
    if (values_size > 0)
        memset(values, 0, values_size);
    return store_members(table, object, values, NULL, error);
}

void arguments_clear(const Argument *table, void *values)
{
    for (const Argument *row = table; row != NULL && row->name != NULL; row++) {
        if (argument_kinds[row->type].clear != NULL)
            argument_kinds[row->type].clear(row, slot_of(row, values));
    }
}
