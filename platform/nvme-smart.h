/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What an NVMe drive says of its health: log page 02h, "SMART / Health Information" (NVM Express
 * Base Specification). */
typedef enum {
    NVME_DATA_UNITS_READ,
    NVME_DATA_UNITS_WRITTEN,
    NVME_HOST_READ_COMMANDS,
    NVME_HOST_WRITE_COMMANDS,
    NVME_CONTROLLER_BUSY_TIME,
    NVME_POWER_CYCLES,
    NVME_POWER_ON_HOURS,
    NVME_UNSAFE_SHUTDOWNS,
    NVME_MEDIA_ERRORS,
    NVME_ERROR_LOG_ENTRIES,
    NVME_COUNTERS
} NvmeCounter;

typedef struct {
    unsigned critical_warning;
    unsigned temperature_kelvin;
    unsigned available_spare;
    unsigned available_spare_threshold;
    unsigned percentage_used;
    struct {
        uint64_t low, high; /* halves of a 128-bit number */
    } counters[NVME_COUNTERS];
} NvmeSmart;

/* Asks the drive behind a device node; false when it is no NVMe drive, or does not answer. */
bool nvme_smart_read(const char *node, NvmeSmart *smart);
