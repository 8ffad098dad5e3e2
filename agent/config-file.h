/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/config.h"

#include <glib.h>
#include <stdbool.h>

/*
 * Adds the settings of a key file to *config. Whatever is wrong with it - not readable, not a key
 * file, a group or key that does not exist, a value of the wrong type - is an error that begins
 * with FILE:LINE: and names the key. *config may then be half filled.
 */
bool config_file_load(Config *config, const char *path, GError **error);
