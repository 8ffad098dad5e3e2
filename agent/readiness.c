/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/readiness.h"

#include "build-config.h"

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

static void notify(const char *state)
{
#ifdef HAVE_LIBSYSTEMD
    sd_notify(0, state);
#endif
}

void readiness_notify_ready(void)
{
    notify("READY=1");
}

void readiness_notify_stopping(void)
{
    notify("STOPPING=1");
}
