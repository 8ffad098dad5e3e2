/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the service manager how the daemon is (sd_notify(3)); without libsystemd, or when nobody
 * asked to be told ($NOTIFY_SOCKET), nothing happens. */
void readiness_notify_ready(void);
void readiness_notify_stopping(void);
