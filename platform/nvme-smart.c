/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/nvme-smart.h"

#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GET_LOG_PAGE 0x02
#define SMART_PAGE 0x02u
#define PAGE_BYTES 512u
#define EVERY_NAMESPACE 0xffffffffu
#define TIMEOUT_MS 2000

/* Offsets in the page. */
#define COUNTERS_OFFSET 32
#define COUNTER_BYTES 16

static uint64_t little_endian(const uint8_t *bytes, unsigned length)
{
    uint64_t value = 0;

    for (unsigned i = length; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static void read_page(const uint8_t *page, NvmeSmart *smart)
{
    smart->critical_warning = page[0];
    smart->temperature_kelvin = (unsigned)little_endian(page + 1, 2);
    smart->available_spare = page[3];
    smart->available_spare_threshold = page[4];
    smart->percentage_used = page[5];
    for (unsigned i = 0; i < NVME_COUNTERS; i++) {
        const uint8_t *counter = page + COUNTERS_OFFSET + i * COUNTER_BYTES;
        smart->counters[i].low = little_endian(counter, 8);
        smart->counters[i].high = little_endian(counter + 8, 8);
    }
}

bool nvme_smart_read(const char *node, NvmeSmart *smart)
{
    uint8_t page[PAGE_BYTES] = {0};
    struct nvme_admin_cmd command = {
        .opcode = GET_LOG_PAGE,
        .nsid = EVERY_NAMESPACE,
        .addr = (uint64_t)(uintptr_t)page,
        .data_len = sizeof page,
        .cdw10 = (PAGE_BYTES / 4 - 1) << 16 | SMART_PAGE,
        .timeout_ms = TIMEOUT_MS,
    };
    int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return false;
    bool answered = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command) == 0;
    close(fd);
    if (answered)
        read_page(page, smart);
    return answered;
}
