/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The machine's logical processors (/sys/devices/system/cpu; Linux, Documentation/core-api/
 * cpu_hotplug) and what they have done (/proc/stat; proc(5)).
 */
typedef struct {
    int64_t id;
    bool online;
    bool can_offline; /* it has a switch */
} Processor;

/* A GArray of Processor, ascending; owned by the caller. NULL with an error. */
GArray *processors_read(GError **error);

/* Switches one on or off. One that is so already is a success, whether or not it has a switch. */
bool processor_set_online(int64_t id, bool online, GError **error);

/* Times in milliseconds since the machine was started; columns that the kernel does not have are
 * negative. */
#define PROCESSOR_TIMES 10
typedef struct {
    int64_t id;
    /* user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice */
    int64_t times_ms[PROCESSOR_TIMES];
} ProcessorTimes;

/* Those online: a GArray of ProcessorTimes; owned by the caller. NULL with an error. */
GArray *processor_times_read(GError **error);
/* The same out of the text of /proc/stat; ticks_per_second as of sysconf(_SC_CLK_TCK). Pure. */
GArray *processor_times_parse(const char *text, int64_t ticks_per_second);
