/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/request.h"

#include "protocol/excerpt.h"
#include "protocol/protocol-error.h"

#include <stdarg.h>
#include <string.h>

G_GNUC_PRINTF(2, 3)
static bool refuse(GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    GError *problem = g_error_new_valist(PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC, format, arguments);
    va_end(arguments);
    g_propagate_error(error, problem);
    return false;
}

static bool check_member_names(json_object *value, GError **error)
{
    struct json_object_iter member;

    json_object_object_foreachC(value, member)
    {
        if (g_str_equal(member.key, "execute") || g_str_equal(member.key, "arguments") ||
            g_str_equal(member.key, "id"))
            continue;
        g_autofree char *name =
            excerpt_new(member.key, strlen(member.key), EXCERPT_NAME_CHARACTERS);
        return refuse(error, "QMP input member '%s' is unexpected", name);
    }
    return true;
}

/* The command's name; as C text it must not end before the string does. */
static const char *command_name(json_object *execute, GError **error)
{
    const char *name = json_object_get_string(execute);
    size_t length = (size_t)json_object_get_string_len(execute);

    if (strlen(name) == length)
        return name;
    g_autofree char *shown = excerpt_new(name, length, EXCERPT_NAME_CHARACTERS);
    g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND,
                "The command %s has not been found", shown);
    return NULL;
}

bool request_parse(json_object *value, Request *request, GError **error)
{
    json_object *execute = NULL, *arguments = NULL;

    *request = (Request){0};
    if (!json_object_is_type(value, json_type_object))
        return refuse(error, "QMP input must be a JSON object");
    request->has_id = json_object_object_get_ex(value, "id", &request->id);

    bool has_execute = json_object_object_get_ex(value, "execute", &execute);
    if (has_execute && !json_object_is_type(execute, json_type_string))
        return refuse(error, "QMP input member 'execute' must be a string");
    if (json_object_object_get_ex(value, "arguments", &arguments) &&
        !json_object_is_type(arguments, json_type_object))
        return refuse(error, "QMP input member 'arguments' must be an object");
    if (!check_member_names(value, error))
        return false;
    if (!has_execute)
        return refuse(error, "QMP input lacks member 'execute'");

    request->command = command_name(execute, error);
    request->arguments = arguments;
    return request->command != NULL;
}
