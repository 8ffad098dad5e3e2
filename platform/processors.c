/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "platform/processors.h"
#include "platform/sysfs-file.h"

#include <string.h>
#include <unistd.h>

#define PROCESSORS "/sys/devices/system/cpu"

static char *directory_of(int64_t id)
{
    return g_strdup_printf(PROCESSORS "/cpu%" G_GINT64_FORMAT, id);
}

/* Without the file it cannot be switched off, so it is on. */
static bool read_switch(const char *directory, Processor *processor, GError **error)
{
    g_autoptr(GError) problem = NULL;
    uint64_t online = 0;

    processor->can_offline = sysfs_file_read_number(directory, "online", 10, &online, &problem);
    processor->online = !processor->can_offline || online != 0;
    if (!problem || g_error_matches(problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return true;
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

GArray *processors_read(GError **error)
{
    g_autoptr(GArray) numbers = sysfs_list_numbered(PROCESSORS, "cpu", error);

    if (!numbers)
        return NULL;
    g_autoptr(GArray) processors = g_array_new(FALSE, FALSE, sizeof(Processor));
    for (unsigned i = 0; i < numbers->len; i++) {
        Processor processor = {.id = g_array_index(numbers, int64_t, i)};
        g_autofree char *directory = directory_of(processor.id);
        if (!read_switch(directory, &processor, error))
            return NULL;
        g_array_append_val(processors, processor);
    }
    return g_steal_pointer(&processors);
}

bool processor_set_online(int64_t id, bool online, GError **error)
{
    g_autofree char *directory = directory_of(id);
    Processor processor = {.id = id};

    if (!g_file_test(directory, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT,
                    "there is no logical processor #%" G_GINT64_FORMAT, id);
        return false;
    }
    if (!read_switch(directory, &processor, error))
        return false;
    if (processor.online == online)
        return true;
    if (processor.can_offline)
        return sysfs_file_write(directory, "online", online ? "1" : "0", error);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_PERM,
                "logical processor #%" G_GINT64_FORMAT " can't be offlined", id);
    return false;
}

/* A line "cpu3 1 2 3 ...": false when it is another. */
static bool parse_line(const char *line, int64_t ticks_per_second, ProcessorTimes *times)
{
    char *rest;

    if (!g_str_has_prefix(line, "cpu") || !g_ascii_isdigit(line[3]))
        return false;
    times->id = g_ascii_strtoll(line + 3, &rest, 10);
    for (unsigned i = 0; i < PROCESSOR_TIMES; i++) {
        const char *start = rest;
        int64_t ticks = g_ascii_strtoll(start, &rest, 10);
        times->times_ms[i] = rest == start ? -1 : ticks * 1000 / ticks_per_second;
    }
    return times->times_ms[3] >= 0;
}

GArray *processor_times_parse(const char *text, int64_t ticks_per_second)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(ProcessorTimes));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (char **line = lines; *line; line++) {
        ProcessorTimes times;
        if (parse_line(*line, ticks_per_second, &times))
            g_array_append_val(all, times);
    }
    return all;
}

GArray *processor_times_read(GError **error)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/stat", &text, NULL, error))
        return NULL;
    return processor_times_parse(text, sysconf(_SC_CLK_TCK));
}
