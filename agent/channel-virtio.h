/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Opens a virtio-serial port, non-blocking. A port has one user at a time: the kernel answers EBUSY
 * to the second. Source: linux/drivers/char/virtio_console.c (port_fops_open). */
int channel_virtio_open(const char *path, GError **error);
