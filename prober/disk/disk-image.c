/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk/disk-image.h"
#include "prober/disk/image-format.h"
#include "prober/disk/nbd-connection.h"
#include "prober/disk/qemu-nbd.h"
#include "prober/probe-error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An open image; what it is not read through stays unset. */
typedef struct {
    char *address;
    int fd;                    /* a raw file or block device */
    NbdConnection *connection; /* somebody's NBD server */
    QemuNbd *child;            /* everything else */
} Image;

static void image_free(void *data)
{
    Image *image = data;

    if (image->fd >= 0)
        close(image->fd);
    g_clear_pointer(&image->connection, nbd_connection_free);
    g_clear_pointer(&image->child, qemu_nbd_free);
    g_free(image->address);
    g_free(image);
}

static Image *new_image(const char *address)
{
    Image *image = g_new0(Image, 1);

    image->address = g_strdup(address);
    image->fd = -1;
    return image;
}

static void G_GNUC_PRINTF(3, 4) fail(const char *address, GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *cause = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK, "cannot open %s: %s", address, cause);
}

static bool read_file(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    const Image *image = data;
    char *to = buffer;

    while (length > 0) {
        ssize_t got = pread(image->fd, to, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            g_set_error(error, PROBE_ERROR, PROBE_ERROR_DISK,
                        "cannot read %zu bytes at %" G_GUINT64_FORMAT " of %s: %s", length, offset,
                        image->address, got < 0 ? g_strerror(errno) : "it became shorter");
            return false;
        }
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return true;
}

static bool read_nbd(void *data, uint64_t offset, void *buffer, size_t length, GError **error)
{
    Image *image = data;
    NbdConnection *connection =
        image->child ? qemu_nbd_connection(image->child) : image->connection;

    if (nbd_connection_read(connection, offset, buffer, length, error))
        return true;
    g_prefix_error(error, "%s: ", image->address);
    return false;
}

/* *is_device tells a block device from a file. */
static DiskBytes *open_file(const char *path, bool *is_device, GError **error)
{
    /* A named pipe must not make us wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0) {
        fail(path, error, "%s", g_strerror(errno));
        return NULL;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    if (fstat(fd, &status) < 0 || size < 0 ||
        !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))) {
        fail(path, error, "it is neither a file nor a block device");
        close(fd);
        return NULL;
    }
    *is_device = S_ISBLK(status.st_mode);
    /* What lies in our cache may be older than what another host wrote; and no reading ahead. */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    Image *image = new_image(path);
    image->fd = fd;
    return disk_bytes_new((uint64_t)size, read_file, image, image_free);
}

static DiskBytes *open_nbd(const DiskImageSource *source, GError **error)
{
    NbdConnection *connection =
        nbd_connection_open_uri(source->address, source->timeout_ms, source->interrupt_fd, error);

    if (!connection) {
        g_prefix_error(error, "cannot open %s: ", source->address);
        return NULL;
    }
    Image *image = new_image(source->address);
    image->connection = connection;
    return disk_bytes_new(nbd_connection_size(connection), read_nbd, image, image_free);
}

/* QEMU's syntax for options doubles the commas of a value. */
static char *option_value(const char *text)
{
    g_auto(GStrv) pieces = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", pieces);
}

static char *snapshot_option(const char *name)
{
    /* Such a name would be taken for options itself. */
    if (!g_str_has_prefix(name, "snapshot."))
        return g_strconcat("--load-snapshot=", name, NULL);
    g_autofree char *value = option_value(name);
    return g_strconcat("--load-snapshot=snapshot.name=", value, NULL);
}

/* Takes over options, which are qemu-nbd's. */
static DiskBytes *open_by_child(const DiskImageSource *source, GPtrArray *options, GError **error)
{
    if (source->snapshot)
        g_ptr_array_insert(options, 0, snapshot_option(source->snapshot));
    g_ptr_array_add(options, NULL);
    QemuNbd *child = qemu_nbd_start((const char *const *)options->pdata, source->timeout_ms,
                                    source->interrupt_fd, error);
    g_ptr_array_unref(options);
    if (!child && source->snapshot)
        g_prefix_error(error, "snapshot %s: ", source->snapshot);
    if (!child) {
        g_prefix_error(error, "cannot open %s: ", source->address);
        return NULL;
    }
    Image *image = new_image(source->address);
    image->child = child;
    return disk_bytes_new(nbd_connection_size(qemu_nbd_connection(child)), read_nbd, image,
                          image_free);
}

/* force-share: a running QEMU may hold the image locked for writing. */
static DiskBytes *open_formatted_file(const DiskImageSource *source, const char *format,
                                      bool is_device, GError **error)
{
    GPtrArray *options = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = option_value(source->address);

    g_ptr_array_add(options, g_strdup("--image-opts"));
    g_ptr_array_add(options, g_strdup("--"));
    g_ptr_array_add(options,
                    g_strdup_printf("driver=%s,force-share=on,file.driver=%s,file.filename=%s",
                                    format, is_device ? "host_device" : "file", path));
    return open_by_child(source, options, error);
}

static DiskBytes *refuse_guess(const DiskImageSource *source, const char *format, const char *why,
                               GError **error)
{
    fail(source->address, error,
         "it begins like a %s image %s; if you know what it is, say --format raw or --format %s",
         format, why, format);
    return NULL;
}

/* What is raw by default must not turn out to be an image: the bytes would be misread. */
static DiskBytes *check_raw(const DiskImageSource *source, DiskBytes *bytes, GError **error)
{
    g_autoptr(DiskBytes) owned = bytes;
    ImageFormat found;

    if (!bytes || !image_format_find(bytes, &found, error))
        return NULL;
    if (found.name)
        return refuse_guess(source, found.name, "where its guest can write that itself", error);
    return g_steal_pointer(&owned);
}

static DiskBytes *open_local(const DiskImageSource *source, GError **error)
{
    bool is_device = false;
    g_autoptr(DiskBytes) bytes = open_file(source->address, &is_device, error);
    ImageFormat found = {.name = source->format};

    if (!bytes || (!source->format && !image_format_find(bytes, &found, error)))
        return NULL;
    bool raw = !found.name || strcmp(found.name, "raw") == 0;
    if (raw && source->snapshot) {
        fail(source->address, error, "a raw image has no snapshots inside (%s was asked for)",
             source->snapshot);
        return NULL;
    }
    if (raw)
        return g_steal_pointer(&bytes);
    if (!source->format && is_device)
        return refuse_guess(source, found.name,
                            "on a device, where its guest can write that "
                            "itself",
                            error);
    if (found.names_other_files)
        return refuse_guess(source, found.name,
                            "that names other files to be read, which the "
                            "guest of a raw image can write itself",
                            error);
    return open_formatted_file(source, found.name, is_device, error);
}

/* Source: QEMU, block.c, path_has_protocol(). */
static bool has_protocol(const char *address)
{
    return address[strcspn(address, ":/")] == ':';
}

static DiskBytes *open_by_protocol(const DiskImageSource *source, GError **error)
{
    bool tells_itself = g_str_has_prefix(source->address, "json:");
    const char *format = source->format ? source->format : tells_itself ? NULL : "raw";
    GPtrArray *options = g_ptr_array_new_with_free_func(g_free);

    if (format)
        g_ptr_array_add(options, g_strconcat("--format=", format, NULL));
    g_ptr_array_add(options, g_strdup("--"));
    g_ptr_array_add(options, g_strdup(source->address));
    DiskBytes *bytes = open_by_child(source, options, error);
    return source->format || tells_itself ? bytes : check_raw(source, bytes, error);
}

DiskBytes *disk_image_open(const DiskImageSource *source, GError **error)
{
    bool raw = !source->format || strcmp(source->format, "raw") == 0;

    if (nbd_connection_is_uri(source->address) && raw && !source->snapshot) {
        DiskBytes *bytes = open_nbd(source, error);
        return source->format ? bytes : check_raw(source, bytes, error);
    }
    return has_protocol(source->address) ? open_by_protocol(source, error)
                                         : open_local(source, error);
}
