/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/disk-list.h"
#include "platform/sysfs-file.h"

#include <string.h>
#include <sys/sysmacros.h>

#define BLOCK "/sys/block"

static void listed_disk_free(void *data)
{
    ListedDisk *disk = data;

    g_free(disk->node);
    g_free(disk->alias);
    g_strfreev(disk->dependencies);
    g_free(disk);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted; empty when the directory is not there. */
static GPtrArray *names_in(const char *directory)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) entries = g_dir_open(directory, 0, NULL);
    const char *name;

    while (entries && (name = g_dir_read_name(entries)))
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    return names;
}

/* sysfs writes '!' for the '/' in a device's name ("cciss!c0d0"). */
static char *node_of(const char *kernel_name)
{
    char *node = g_strconcat("/dev/", kernel_name, NULL);

    return g_strdelimit(node, "!", '/');
}

static dev_t device_in(const char *directory)
{
    g_autofree char *text = sysfs_file_read(directory, "dev", NULL);
    g_auto(GStrv) numbers = g_strsplit(text ? text : "0:0", ":", 2);

    return makedev((unsigned)g_ascii_strtoull(numbers[0], NULL, 10),
                   (unsigned)g_ascii_strtoull(numbers[1] ? numbers[1] : "0", NULL, 10));
}

static char **nodes_below(const char *directory)
{
    g_autofree char *slaves = g_build_filename(directory, "slaves", NULL);
    g_autoptr(GPtrArray) names = names_in(slaves);
    g_autoptr(GStrvBuilder) nodes = g_strv_builder_new();

    for (unsigned i = 0; i < names->len; i++) {
        g_autofree char *node = node_of(g_ptr_array_index(names, i));
        g_strv_builder_add(nodes, node);
    }
    return g_strv_builder_end(nodes);
}

static void add_disk(GPtrArray *disks, const char *directory, const char *name)
{
    ListedDisk *disk = g_new0(ListedDisk, 1);

    disk->node = node_of(name);
    disk->device = device_in(directory);
    disk->alias = sysfs_file_read(directory, "dm/name", NULL);
    disk->dependencies = nodes_below(directory);
    g_ptr_array_add(disks, disk);
}

static void add_partitions(GPtrArray *disks, const char *directory, const char *disk_name)
{
    g_autofree char *disk_node = node_of(disk_name);
    g_autoptr(GPtrArray) names = names_in(directory);

    for (unsigned i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *below = g_build_filename(directory, name, NULL);
        uint64_t number;
        if (!sysfs_file_read_number(below, "partition", 10, &number, NULL))
            continue;
        ListedDisk *partition = g_new0(ListedDisk, 1);
        partition->node = node_of(name);
        partition->device = device_in(below);
        partition->partition = true;
        partition->dependencies = g_strdupv((char *[]){disk_node, NULL});
        g_ptr_array_add(disks, partition);
    }
}

GPtrArray *disk_list_read(GError **error)
{
    if (!g_file_test(BLOCK, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                    "cannot list disks: there is no %s (is sysfs mounted?)", BLOCK);
        return NULL;
    }
    GPtrArray *disks = g_ptr_array_new_with_free_func(listed_disk_free);
    g_autoptr(GPtrArray) names = names_in(BLOCK);
    for (unsigned i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *directory = g_build_filename(BLOCK, name, NULL);
        uint64_t sectors = 0;
        /* An empty drive, a loop device that is not set up: no disk for now. */
        if (!sysfs_file_read_number(directory, "size", 10, &sectors, NULL) || sectors == 0)
            continue;
        add_disk(disks, directory, name);
        add_partitions(disks, directory, name);
    }
    return disks;
}

/* ---- statistics ---- */

static bool parse_line(const char *line, DiskStatistics *statistics)
{
    g_auto(GStrv) words = g_strsplit_set(line, " \t", -1);
    unsigned n_columns = 0;
    unsigned n_words = 0;

    for (char **word = words; *word; word++) {
        if (!**word)
            continue;
        if (n_words == 0)
            statistics->major = (unsigned)g_ascii_strtoull(*word, NULL, 10);
        else if (n_words == 1)
            statistics->minor = (unsigned)g_ascii_strtoull(*word, NULL, 10);
        else if (n_words == 2)
            g_strlcpy(statistics->name, *word, sizeof statistics->name);
        else if (n_columns < DISK_COLUMNS_FLUSH)
            statistics->columns[n_columns++] = g_ascii_strtoull(*word, NULL, 10);
        n_words++;
    }
    statistics->n_columns = n_columns >= DISK_COLUMNS_FLUSH     ? DISK_COLUMNS_FLUSH
                            : n_columns >= DISK_COLUMNS_DISCARD ? DISK_COLUMNS_DISCARD
                                                                : DISK_COLUMNS_BASIC;
    return n_columns >= DISK_COLUMNS_BASIC;
}

GArray *disk_statistics_parse(const char *text)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(DiskStatistics));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        DiskStatistics statistics = {0};
        if (parse_line(*line, &statistics))
            g_array_append_val(all, statistics);
    }
    return all;
}

GArray *disk_statistics_read(GError **error)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/diskstats", &text, NULL, error))
        return NULL;
    return disk_statistics_parse(text);
}
