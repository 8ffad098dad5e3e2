/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/request.h"

#include "protocol/protocol-error.h"

#include <string.h>

bool request_parse(json_object *value, Request *request, GError **error)
{
    *request = (Request){0};
    if (!json_object_is_type(value, json_type_object)) {
        g_set_error_literal(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC,
                            "QMP input must be a JSON object");
        return false;
    }
    request->has_id = json_object_object_get_ex(value, "id", &request->id);

    json_object *execute = NULL;
    json_object_object_foreach(value, name, member)
    {
        if (strcmp(name, "execute") == 0) {
            if (!json_object_is_type(member, json_type_string)) {
                g_set_error_literal(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC,
                                    "QMP input member 'execute' must be a string");
                return false;
            }
            execute = member;
        } else if (strcmp(name, "arguments") == 0) {
            if (!json_object_is_type(member, json_type_object)) {
                g_set_error_literal(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC,
                                    "QMP input member 'arguments' must be an object");
                return false;
            }
            request->arguments = member;
        } else if (strcmp(name, "id") != 0) {
            g_set_error(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC,
                        "QMP input member '%s' is unexpected", name);
            return false;
        }
    }
    if (execute == NULL) {
        g_set_error_literal(error, PROTOCOL_ERROR, PROTOCOL_ERROR_GENERIC,
                            "QMP input lacks member 'execute'");
        return false;
    }
    request->command = json_object_get_string(execute);
    return true;
}
