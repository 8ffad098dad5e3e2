/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/crc32c.h"

#include <glib.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t table[256];

static void fill_table(void)
{
    for (uint32_t byte = 0; byte < G_N_ELEMENTS(table); byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
        table[byte] = crc;
    }
}

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    static gsize filled;
    const uint8_t *bytes = data;

    if (g_once_init_enter(&filled)) {
        fill_table();
        g_once_init_leave(&filled, 1);
    }
    for (size_t i = 0; i < length; i++)
        crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
    return crc;
}
