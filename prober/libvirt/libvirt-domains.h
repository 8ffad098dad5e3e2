/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>

/* The names of all domains that run, sorted, NULL-terminated; errors as libvirt_service_call(). */
GStrv libvirt_domains_list(const char *uri, int64_t timeout_ms, GError **error);
