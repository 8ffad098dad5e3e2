/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints what the prober reads of an image, or of the disks of a running guest:
 *   read-image [OPTION...] ADDRESS OFFSET LENGTH     prints: NAME SIZE HEX
 *   read-image --live [OPTION...] QMP OFFSET LENGTH  one such line for each disk
 * A disk that cannot be exported is a line on standard error. Exits with 1 and the error there.
 */
#include "prober/disk/disk-image.h"
#include "prober/disk/live-disks.h"
#include "prober/interrupt.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char *format;
static char *snapshot;
static int timeout_ms = 10000;
static gboolean live;
static gboolean pausing;

static const GOptionEntry entries[] = {
    {"format", 0, 0, G_OPTION_ARG_STRING, &format, "image format", "NAME"},
    {"snapshot", 0, 0, G_OPTION_ARG_STRING, &snapshot, "internal snapshot", "NAME"},
    {"timeout", 0, 0, G_OPTION_ARG_INT, &timeout_ms, "for each step", "MS"},
    {"live", 0, 0, G_OPTION_ARG_NONE, &live, "ADDRESS is a QMP socket", NULL},
    {"pause", 0, 0, G_OPTION_ARG_NONE, &pausing, "once open, say so and wait for a line", NULL},
    {NULL},
};

static void pause_if_asked(void)
{
    char line[16];

    if (!pausing)
        return;
    puts("open");
    fflush(stdout);
    /* read(), not stdio: a signal that the interrupt watches leaves it waiting. */
    if (read(STDIN_FILENO, line, sizeof line) < 0)
        perror("read-image");
}

static bool print_bytes(const char *name, DiskBytes *bytes, char **range, GError **error)
{
    size_t length = (size_t)g_ascii_strtoull(range[1], NULL, 0);
    g_autofree unsigned char *buffer = g_malloc(length + 1);

    if (!disk_bytes_read(bytes, g_ascii_strtoull(range[0], NULL, 0), buffer, length, error))
        return false;
    printf("%s %" G_GUINT64_FORMAT " ", name, disk_bytes_size(bytes));
    for (size_t i = 0; i < length; i++)
        printf("%02x", buffer[i]);
    puts("");
    return true;
}

static bool read_image(char **arguments, int interrupt, GError **error)
{
    DiskImageSource source = {.address = arguments[0],
                              .format = format,
                              .snapshot = snapshot,
                              .timeout_ms = timeout_ms,
                              .interrupt_fd = interrupt};
    g_autoptr(DiskBytes) bytes = disk_image_open(&source, error);

    if (!bytes)
        return false;
    pause_if_asked();
    return print_bytes("image", bytes, arguments + 1, error);
}

static bool read_live(char **arguments, int interrupt, GError **error)
{
    g_autoptr(Qmp) qmp = qmp_open(arguments[0], timeout_ms, interrupt, error);

    if (!qmp)
        return false;
    g_autoptr(LiveDisks) disks = live_disks_open(qmp, timeout_ms, interrupt, error);
    if (!disks)
        return false;
    const GPtrArray *problems = live_disks_problems(disks);
    for (unsigned i = 0; i < problems->len; i++)
        fprintf(stderr, "%s\n", (const char *)problems->pdata[i]);
    pause_if_asked();
    const GPtrArray *list = live_disks_list(disks);
    for (unsigned i = 0; i < list->len; i++) {
        const NamedDisk *disk = list->pdata[i];
        if (!print_bytes(disk->name, disk->bytes, arguments + 1, error))
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("ADDRESS OFFSET LENGTH");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc != 4) {
        fprintf(stderr, "read-image: %s\n", error ? error->message : "give three arguments");
        return 3;
    }
    g_autoptr(Interrupt) interrupt = interrupt_new(&error);
    bool good =
        interrupt && (live ? read_live : read_image)(argv + 1, interrupt_fd(interrupt), &error);
    if (!good)
        fprintf(stderr, "read-image: %s\n", error->message);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
