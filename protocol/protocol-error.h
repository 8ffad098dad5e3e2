/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Errors that travel over the wire as {"error": {"class": C, "desc": D}}.
 *
 * A GError of this domain carries the class in its code; every other domain goes out as
 * GenericError with the GError's message as desc. libvirt turns CommandNotFound into "operation
 * not supported", so the class is part of the contract.
 * Source: ../shared/protocol/README.md, "Errors".
 */
#define PROTOCOL_ERROR (protocol_error_quark())
GQuark protocol_error_quark(void);

typedef enum {
    PROTOCOL_ERROR_GENERIC,
    PROTOCOL_ERROR_COMMAND_NOT_FOUND,
} ProtocolError;

/* The wire's name of the error's class: "GenericError" or "CommandNotFound". */
const char *protocol_error_class(const GError *error);
