/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/json-field.h"

#include <math.h>

static json_object *member(json_object *object, const char *name, json_type type)
{
    json_object *value = NULL;

    if (!json_object_is_type(object, json_type_object))
        return NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return NULL;
    return json_object_is_type(value, type) ? value : NULL;
}

json_object *json_field_object(json_object *object, const char *name)
{
    return member(object, name, json_type_object);
}

json_object *json_field_array(json_object *object, const char *name)
{
    return member(object, name, json_type_array);
}

const char *json_field_string(json_object *object, const char *name)
{
    json_object *value = member(object, name, json_type_string);

    return value ? json_object_get_string(value) : NULL;
}

bool json_field_integer(json_object *object, const char *name, int64_t *value)
{
    json_object *found = member(object, name, json_type_int);

    if (!found)
        return false;
    *value = json_object_get_int64(found);
    return true;
}

bool json_field_number(json_object *object, const char *name, double *value)
{
    json_object *found = member(object, name, json_type_double);

    if (!found)
        found = member(object, name, json_type_int);
    if (!found || !isfinite(json_object_get_double(found)))
        return false;
    *value = json_object_get_double(found);
    return true;
}

bool json_field_boolean(json_object *object, const char *name, bool *value)
{
    json_object *found = member(object, name, json_type_boolean);

    if (!found)
        return false;
    *value = json_object_get_boolean(found);
    return true;
}

size_t json_field_length(json_object *array, size_t limit)
{
    if (!json_object_is_type(array, json_type_array))
        return 0;
    return MIN(json_object_array_length(array), limit);
}
