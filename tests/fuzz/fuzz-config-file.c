/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/config-file.h"
#include "agent/config-key.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The agent's key file. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static int make_file(const uint8_t *input, size_t length)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("key file", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, input, length, 0) != (ssize_t)length)
        g_error("cannot write the key file to memory");
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", make_file(input, length));
    g_autoptr(Config) config = g_new0(Config, 1);
    g_autoptr(GError) error = NULL;

    config->block_rpcs = g_new0(char *, 1);
    bool good = config_file_load(config, path, &error);
    g_assert(good == (error == NULL));
    g_assert(config->block_rpcs != NULL);
    g_assert(good || strstr(error->message, path) != NULL);
    return 0;
}
