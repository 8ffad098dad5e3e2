/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/memory-blocks.h"
#include "platform/sysfs-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MEMORY "/sys/devices/system/memory"

static char *directory_of(uint64_t index)
{
    return g_strdup_printf(MEMORY "/memory%" G_GUINT64_FORMAT, index);
}

static bool read_block(const char *directory, MemoryBlock *block, GError **error)
{
    g_autofree char *state = sysfs_file_read(directory, "state", error);
    uint64_t removable = 0;

    if (!state)
        return false;
    block->online = g_str_equal(state, "online");
    sysfs_file_read_number(directory, "removable", 10, &removable, NULL);
    block->can_offline = removable != 0;
    return true;
}

GArray *memory_blocks_read(GError **error)
{
    g_autoptr(GArray) numbers = sysfs_list_numbered(MEMORY, "memory", error);

    if (!numbers)
        return NULL;
    g_autoptr(GArray) blocks = g_array_new(FALSE, FALSE, sizeof(MemoryBlock));
    for (unsigned i = 0; i < numbers->len; i++) {
        MemoryBlock block = {.index = (uint64_t)g_array_index(numbers, int64_t, i)};
        g_autofree char *directory = directory_of(block.index);
        if (!read_block(directory, &block, error))
            return NULL;
        g_array_append_val(blocks, block);
    }
    return g_steal_pointer(&blocks);
}

bool memory_blocks_read_size(uint64_t *size_bytes, GError **error)
{
    return sysfs_file_read_number(MEMORY, "block_size_bytes", 16, size_bytes, error);
}

/* 0, or the errno of writing the block's state. */
static int write_state(const char *directory, bool online)
{
    g_autofree char *path = g_build_filename(directory, "state", NULL);
    const char *word = online ? "online" : "offline";
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    int cause = write(fd, word, strlen(word)) < 0 ? errno : 0;
    close(fd);
    return cause;
}

MemoryBlockResult memory_block_set_online(uint64_t index, bool online, int *error_number)
{
    g_autofree char *directory = directory_of(index);
    MemoryBlock block = {.index = index};

    *error_number = 0;
    if (!g_file_test(directory, G_FILE_TEST_IS_DIR)) {
        *error_number = ENOENT;
        return MEMORY_BLOCK_NOT_FOUND;
    }
    if (!read_block(directory, &block, NULL)) {
        *error_number = ENOENT;
        return MEMORY_BLOCK_NOT_SUPPORTED;
    }
    if (block.online == online)
        return MEMORY_BLOCK_DONE;
    *error_number = write_state(directory, online);
    return *error_number == 0 ? MEMORY_BLOCK_DONE : MEMORY_BLOCK_FAILED;
}
