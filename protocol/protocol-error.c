/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/protocol-error.h"

G_DEFINE_QUARK(protocol_error, protocol_error)

const char *protocol_error_class(const GError *error)
{
    if (g_error_matches(error, PROTOCOL_ERROR, PROTOCOL_ERROR_COMMAND_NOT_FOUND))
        return "CommandNotFound";
    return "GenericError";
}
