/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read-state IMAGE...: prints what prober/disk reads out of the raw images of one guest, as JSON:
 * an array with an object for each filesystem. */
#include "prober/disk/filesystem-state.h"
#include "prober/disk/live-disks.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_image(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    ssize_t got = pread(GPOINTER_TO_INT(data), buffer, length, (off_t)offset);

    if (got == (ssize_t)length)
        return true;
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "short read");
    return false;
}

static NamedDisk *open_image(const char *path)
{
    g_autoptr(DiskBytes) bytes = NULL;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0) {
        fprintf(stderr, "cannot open %s: %s\n", path, g_strerror(errno));
        exit(1);
    }
    bytes = disk_bytes_new((uint64_t)status.st_size, read_image, GINT_TO_POINTER(fd), NULL);
    return named_disk_new(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, bytes);
}

static void add_string(json_object *object, const char *name, const char *value)
{
    json_object_object_add(object, name, value ? json_object_new_string(value) : NULL);
}

static json_object *to_json(const FilesystemState *state)
{
    json_object *object = json_object_new_object(), *facts = json_object_new_object();

    add_string(object, "volume", state->volume);
    add_string(object, "type", state->fs_type);
    add_string(object, "uuid", state->uuid);
    add_string(object, "label", state->label);
    add_string(object, "state", disk_state_name(state->state));
    json_object_object_add(object, "unmounted", json_object_new_boolean(state->unmounted));
    json_object_object_add(object, "idle-alike", json_object_new_boolean(state->idle_alike));
    add_string(object, "because", state->because);
    add_string(object, "remedy", state->remedy);
    json_object_object_add(object, "generation", json_object_new_uint64(state->generation));
    for (unsigned i = 0; i < state->facts->len; i++) {
        const DiskFact *fact = g_ptr_array_index(state->facts, i);
        add_string(facts, fact->name, fact->value);
    }
    json_object_object_add(object, "facts", facts);
    return object;
}

int main(int argc, char **argv)
{
    g_autoptr(GPtrArray) disks =
        g_ptr_array_new_with_free_func((GDestroyNotify)(void (*)(void))named_disk_free);
    g_autoptr(GPtrArray) volumes = NULL;
    g_autoptr(GPtrArray) states = NULL;
    json_object *array = json_object_new_array();
    uint64_t count_read = 0;

    for (int i = 1; i < argc; i++)
        g_ptr_array_add(disks, open_image(argv[i]));
    volumes = volumes_find(disks);
    states = filesystem_states_read(volumes);
    for (unsigned i = 0; i < states->len; i++)
        json_object_array_add(array, to_json(g_ptr_array_index(states, i)));
    for (unsigned i = 0; i < disks->len; i++)
        count_read += disk_bytes_count_read(((NamedDisk *)g_ptr_array_index(disks, i))->bytes);
    puts(json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY));
    fprintf(stderr, "%" G_GUINT64_FORMAT " bytes read\n", count_read);
    json_object_put(array);
    return 0;
}
