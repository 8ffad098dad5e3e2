/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The prober's own errors; what the agent's connection gives is CLIENT_ERROR (protocol/client.h).
 */
#define PROBE_ERROR (probe_error_quark())
GQuark probe_error_quark(void);

typedef enum {
    PROBE_ERROR_USAGE,       /* the command line */
    PROBE_ERROR_INTERRUPTED, /* a signal asked to stop */
    PROBE_ERROR_QMP,         /* QEMU's monitor */
    PROBE_ERROR_GUEST,       /* the guest is not in a state that allows this, or answers nonsense */
    PROBE_ERROR_DISK,        /* an image or a disk cannot be read */
    PROBE_ERROR_LIBVIRT,     /* libvirt, or the way to it */
} ProbeError;
