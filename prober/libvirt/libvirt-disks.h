/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* target_disk_sources() (prober/target.h) of a libvirt domain. */
GPtrArray *libvirt_disks_list(const char *uri, const char *domain, int64_t timeout_ms,
                              int interrupt_fd, GError **error);
