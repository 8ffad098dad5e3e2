/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Requests and replies as the verbose log shows them: strings longer than TRANSCRIPT_STRING_BYTES
 * give way to their beginning and their length, "AAAA...(65536 bytes)", and no entry is longer than
 * TRANSCRIPT_BYTES, whatever the peer sent.
 */
#define TRANSCRIPT_STRING_BYTES 256u
#define TRANSCRIPT_BYTES (8u * 1024)

/* hide_arguments leaves nothing but the command's name and id: passwords are never logged, nor what
 * might be one (the arguments of a misspelt command, members beside the known ones). */
char *transcript_request(json_object *value, bool hide_arguments);

/* The length bytes of a reply line, without the newline and the delimiter 0xFF. */
char *transcript_reply(const char *line, size_t length);
