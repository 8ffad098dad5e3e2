/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

/* Calls take for each JSON value in the input, as the agent's and the prober's streams find them.
 * The value is borrowed. */
void json_values_each(const uint8_t *input, size_t length, void (*take)(json_object *value));
