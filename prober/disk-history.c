/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/disk-history.h"

#include <inttypes.h>
#include <string.h>

static void track_free(DiskTrack *track)
{
    for (unsigned phase = 0; phase < DISK_PHASES; phase++) {
        g_free(track->phases[phase].because);
        g_free(track->phases[phase].remedy);
    }
    g_free(track->volume);
    g_free(track->fs_type);
    g_free(track->uuid);
    g_free(track);
}

DiskHistory *disk_history_new(void)
{
    DiskHistory *history = g_new0(DiskHistory, 1);

    history->tracks = g_ptr_array_new_with_free_func((GDestroyNotify)track_free);
    return history;
}

void disk_history_free(DiskHistory *history)
{
    g_ptr_array_unref(history->tracks);
    g_free(history);
}

static DiskTrack *find_track(DiskHistory *history, const FilesystemState *state)
{
    for (unsigned i = 0; i < history->tracks->len; i++) {
        DiskTrack *track = g_ptr_array_index(history->tracks, i);
        if (strcmp(track->volume, state->volume) == 0)
            return track;
    }
    DiskTrack *track = g_new0(DiskTrack, 1);
    track->volume = g_strdup(state->volume);
    track->fs_type = g_strdup(state->fs_type);
    track->uuid = g_strdup(state->uuid);
    g_ptr_array_add(history->tracks, track);
    return track;
}

static bool outweighs(DiskState state, DiskState other)
{
    static const unsigned weights[] = {
        [DISK_STATE_QUIET] = 0,
        [DISK_STATE_UNKNOWN] = 1,
        [DISK_STATE_IN_USE] = 2,
    };

    return weights[state] > weights[other];
}

static void decide(DiskPhaseSummary *summary, DiskState state, const char *because,
                   const char *remedy)
{
    summary->state = state;
    g_free(summary->because);
    summary->because = g_strdup(because);
    g_free(summary->remedy);
    summary->remedy = g_strdup(remedy);
}

/* Nothing of a frozen filesystem is ever written, so that between two readings there was a thaw, or
 * no freeze, however quiet both look. */
static void note_commit(DiskPhaseSummary *summary, uint64_t earlier)
{
    if (earlier == 0 || summary->last_generation == 0 || earlier == summary->last_generation ||
        summary->state != DISK_STATE_QUIET)
        return;
    g_autofree char *because = g_strdup_printf(
        "quiet, but written to between two readings: generation %" PRIu64 ", then %" PRIu64,
        earlier, summary->last_generation);
    decide(summary, DISK_STATE_IN_USE, because, NULL);
}

static void add_reading(DiskPhaseSummary *summary, const FilesystemState *state)
{
    bool first = summary->readings++ == 0;

    if (!first && (state->state != summary->state || state->generation != summary->last_generation))
        summary->changed = true;
    if (first)
        summary->first_generation = state->generation;
    summary->last_generation = state->generation;
    if (!first && !outweighs(state->state, summary->state))
        return;
    decide(summary, state->state, state->because, state->remedy);
}

void disk_history_add(DiskHistory *history, DiskPhase phase, const GPtrArray *states)
{
    history->readings[phase]++;
    for (unsigned i = 0; i < states->len; i++) {
        const FilesystemState *state = g_ptr_array_index(states, i);
        DiskPhaseSummary *summary = &find_track(history, state)->phases[phase];
        uint64_t earlier = summary->last_generation;
        add_reading(summary, state);
        if (phase == DISK_PHASE_HOLD && !history->may_lag)
            note_commit(summary, earlier);
    }
}

bool disk_history_all_in_use(const DiskHistory *history, DiskPhase phase)
{
    for (unsigned i = 0; i < history->tracks->len; i++) {
        const DiskTrack *track = g_ptr_array_index(history->tracks, i);
        const DiskPhaseSummary *summary = &track->phases[phase];
        if (summary->readings == 0 || summary->state != DISK_STATE_IN_USE)
            return false;
    }
    return true;
}

bool disk_track_went_quiet(const DiskTrack *track)
{
    const DiskPhaseSummary *before = &track->phases[DISK_PHASE_BEFORE];
    const DiskPhaseSummary *hold = &track->phases[DISK_PHASE_HOLD];

    return before->readings > 0 && before->state == DISK_STATE_IN_USE && hold->readings > 0 &&
           hold->state == DISK_STATE_QUIET;
}
