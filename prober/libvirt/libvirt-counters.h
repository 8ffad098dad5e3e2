/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/counter-source.h"

#include <glib.h>
#include <stdint.h>

/*
 * Write counters of a domain's disks out of libvirt's statistics, which are QEMU's own of the same
 * moment (prober/block-counters.h). Devices have libvirt's names, "vda". Asks once, so that an
 * error comes now; uri and domain as in libvirt_service_new().
 */
CounterSource *libvirt_counters_new(const char *uri, const char *domain, int64_t timeout_ms,
                                    int interrupt_fd, GError **error);
