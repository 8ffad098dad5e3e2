/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>

/*
 * A JSON value seen as a request: {"execute": NAME, "arguments": {...}, "id": ANYTHING}.
 * All members are borrowed from the value and live as long as it does.
 */
typedef struct {
    const char *command;    /* NUL-terminated; NULL after an error */
    json_object *arguments; /* NULL when there are none */
    bool has_id;
    json_object *id; /* NULL with has_id is JSON null */
} Request;

/*
 * Fills *request. value NULL is JSON null. has_id and id are set also when this fails, so that the
 * error can echo them. Errors have the texts of ../shared/protocol/README.md.
 */
bool request_parse(json_object *value, Request *request, GError **error);
