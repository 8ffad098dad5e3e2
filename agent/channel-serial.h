/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Opens a serial line, non-blocking, as an 8-bit pipe: no echo, no line editing, no modem lines,
 * 38400 baud as the peer does (an emulated line has no speed). What lies in its buffers from
 * before is thrown away. Source: termios(3). */
int channel_serial_open(const char *path, GError **error);
