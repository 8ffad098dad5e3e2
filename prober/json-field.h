/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Members out of JSON that somebody else wrote - an agent inside a guest, QEMU - and that may
 * therefore hold anything. A member that is missing or of another type is no error but absence:
 * newer agents add members, older ones leave them out.
 */

/* object may be NULL or no object; the result is borrowed from it, NULL when there is none. */
json_object *json_field_object(json_object *object, const char *name);
json_object *json_field_array(json_object *object, const char *name);
const char *json_field_string(json_object *object, const char *name);

/* Returns false and leaves *value alone when there is no such member of that type. */
bool json_field_integer(json_object *object, const char *name, int64_t *value);
/* Integers count as numbers; infinities and NaN do not. */
bool json_field_number(json_object *object, const char *name, double *value);
bool json_field_boolean(json_object *object, const char *name, bool *value);

/* The length of an array, 0 for anything else, at most limit: a guest that sends a million
 * elements costs no more than one that sends limit. */
size_t json_field_length(json_object *array, size_t limit);
