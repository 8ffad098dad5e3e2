/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/freeze-coverage.h"

#include <string.h>

typedef enum { PART_FROZEN, PART_UNWRITABLE, PART_LEFT_OUT } Part;

static unsigned count_distinct(const char *const *names)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (; *names; names++)
        g_hash_table_add(seen, (gpointer)*names);
    return g_hash_table_size(seen);
}

/* Filesystems that should be frozen and that the agent says it left out, with the reason. */
static unsigned count_explained(const GuestFilesystems *guest, const GuestWindow *window)
{
    unsigned count = 0;

    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        if (filesystem->freezable && guest_window_find_skip(window, filesystem->mount_point))
            count++;
    }
    return count;
}

static void count_uncovered(FreezeCoverage *coverage, const GuestFilesystems *guest,
                            const GuestWindow *window, const char *const *requested)
{
    int64_t covered = MAX(window->frozen_count, 0);

    if (requested) {
        coverage->expected = count_distinct(requested);
    } else if (guest) {
        coverage->expected = guest_filesystems_count_freezable(guest);
        covered += count_explained(guest, window);
    }
    coverage->known = requested || guest;
    if (covered < coverage->expected)
        coverage->uncovered = coverage->expected - (unsigned)covered;
}

/* Only the long form of the replies names what was frozen. */
static char *name_uncovered(const GuestFilesystems *guest, const GuestWindow *window)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        if (filesystem->freezable && !guest_window_find(window, filesystem->mount_point) &&
            !guest_window_find_skip(window, filesystem->mount_point) && names->len < 8)
            g_ptr_array_add(names, filesystem->mount_point);
    }
    if (names->len == 0)
        return NULL;
    g_ptr_array_add(names, NULL);
    return g_strjoinv(", ", (char **)names->pdata);
}

static Part part_of(const GuestFilesystem *filesystem, const FreezeCoverage *coverage,
                    const GuestWindow *window, const char *const *requested)
{
    const WindowSkip *skip = guest_window_find_skip(window, filesystem->mount_point);

    if (skip && skip->reason && strstr(skip->reason, "read-only"))
        return PART_UNWRITABLE;
    if (skip || !filesystem->freezable)
        return PART_LEFT_OUT;
    if (guest_window_find(window, filesystem->mount_point))
        return PART_FROZEN;
    if (requested && !g_strv_contains(requested, filesystem->mount_point))
        return PART_LEFT_OUT;
    return coverage->uncovered == 0 ? PART_FROZEN : PART_LEFT_OUT;
}

static void count_disks(FreezeCoverage *coverage, const GuestFilesystems *guest,
                        const GuestWindow *window, const char *const *requested)
{
    g_autoptr(GHashTable) frozen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) left_out = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iterator;
    gpointer disk;

    coverage->everything = true;
    for (unsigned i = 0; i < guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(guest->filesystems, i);
        Part part = part_of(filesystem, coverage, window, requested);
        if (part == PART_LEFT_OUT)
            coverage->everything = false;
        for (unsigned d = 0; d < filesystem->disks->len && part != PART_UNWRITABLE; d++)
            g_hash_table_add(part == PART_FROZEN ? frozen : left_out,
                             g_ptr_array_index(filesystem->disks, d));
    }

    coverage->disks_touched = g_hash_table_size(frozen);
    g_hash_table_iter_init(&iterator, frozen);
    while (g_hash_table_iter_next(&iterator, &disk, NULL)) {
        if (!g_hash_table_contains(left_out, disk))
            coverage->disks_all_ours++;
    }
}

FreezeCoverage *freeze_coverage_new(const GuestFilesystems *guest, const GuestWindow *window,
                                    const char *const *requested)
{
    FreezeCoverage *coverage = g_new0(FreezeCoverage, 1);

    count_uncovered(coverage, guest, window, requested);
    if (guest && coverage->uncovered > 0 && !requested && window->detailed)
        coverage->uncovered_names = name_uncovered(guest, window);
    if (guest)
        count_disks(coverage, guest, window, requested);
    else
        coverage->everything = !requested;
    return coverage;
}

bool freeze_coverage_includes(const FreezeCoverage *coverage, const GuestFilesystem *filesystem,
                              const GuestWindow *window, const char *const *requested)
{
    return part_of(filesystem, coverage, window, requested) == PART_FROZEN;
}

void freeze_coverage_free(FreezeCoverage *coverage)
{
    g_free(coverage->uncovered_names);
    g_free(coverage);
}
