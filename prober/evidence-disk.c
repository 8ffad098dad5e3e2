/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence-disk.h"

#include <string.h>

#define NAMES_SHOWN 4

/* Names for a sentence: the first few, and how many there are. */
typedef struct {
    GString *text;
    unsigned count;
    const char *because; /* of the first; borrowed */
    const char *remedy;  /* the first there is; borrowed */
} Names;

static void names_clear(Names *names)
{
    if (names->text)
        g_string_free(names->text, TRUE);
}

static void names_add(Names *names, const char *volume, const char *fs_type, const char *because,
                      const char *remedy)
{
    if (!names->text)
        names->text = g_string_new(NULL);
    if (names->count == 0)
        names->because = because;
    if (!names->remedy)
        names->remedy = remedy;
    if (names->count < NAMES_SHOWN)
        g_string_append_printf(names->text, "%s%s%s%s%s", names->count > 0 ? ", " : "", volume,
                               fs_type ? " (" : "", fs_type ? fs_type : "", fs_type ? ")" : "");
    else if (names->count == NAMES_SHOWN)
        g_string_append(names->text, ", ...");
    names->count++;
}

static Evidence *piece(EvidenceStance stance, char *summary, const char *remedy)
{
    return evidence_new(EVIDENCE_DISK, stance, summary, remedy);
}

static Evidence *silent(char *summary, const char *remedy)
{
    return piece(EVIDENCE_SILENT, summary, remedy);
}

/* ---- an image ---- */

/* Linux cannot freeze these, or nothing ever writes to them: a UEFI guest has one for certain. */
static bool is_never_frozen(const char *fs_type)
{
    static const char *const types[] = {"vfat",     "exfat", "iso9660", "udf",
                                        "squashfs", "erofs", "cramfs",  NULL};

    return fs_type && g_strv_contains(types, fs_type);
}

typedef struct {
    Names in_use;
    Names doubtful;
    Names quiet;
    Names idle_alike; /* of these */
    bool all_unmounted;
} ImageTally;

static void tally_state(ImageTally *tally, const FilesystemState *state)
{
    Names *names = state->state == DISK_STATE_IN_USE  ? &tally->in_use
                   : state->state == DISK_STATE_QUIET ? &tally->quiet
                                                      : &tally->doubtful;

    if (state->state == DISK_STATE_UNKNOWN && is_never_frozen(state->fs_type))
        return;
    if (state->state == DISK_STATE_QUIET && !state->unmounted)
        tally->all_unmounted = false;
    if (state->state == DISK_STATE_QUIET && state->idle_alike)
        names_add(&tally->idle_alike, state->volume, state->fs_type, NULL, NULL);
    names_add(names, state->volume, state->fs_type, state->because, state->remedy);
}

static Evidence *judge_image_tally(const ImageTally *tally)
{
    if (tally->in_use.count > 0)
        return piece(EVIDENCE_AGAINST,
                     g_strdup_printf("in use, and not frozen: %s: %s", tally->in_use.text->str,
                                     tally->in_use.because),
                     NULL);
    if (tally->doubtful.count > 0)
        return silent(g_strdup_printf("cannot be judged: %s: %s", tally->doubtful.text->str,
                                      tally->doubtful.because),
                      tally->doubtful.remedy);
    if (tally->quiet.count == 0)
        return silent(g_strdup("there is no filesystem that could have been frozen"),
                      "give all disks of the guest, if its filesystems lie across several");
    return piece(
        EVIDENCE_FOR,
        g_strdup_printf("quiet, as %s leaves it: %s%s%s",
                        tally->all_unmounted ? "a clean unmount" : "a freeze or a clean unmount",
                        tally->quiet.text->str,
                        tally->idle_alike.count > 0 ? "; looks the same when merely idle: " : "",
                        tally->idle_alike.count > 0 ? tally->idle_alike.text->str : ""),
        NULL);
}

Evidence *evidence_disk_judge_image(const GPtrArray *states)
{
    ImageTally tally = {.all_unmounted = true};

    for (unsigned i = 0; i < states->len; i++)
        tally_state(&tally, g_ptr_array_index(states, i));
    Evidence *evidence = judge_image_tally(&tally);
    names_clear(&tally.in_use);
    names_clear(&tally.doubtful);
    names_clear(&tally.quiet);
    names_clear(&tally.idle_alike);
    return evidence;
}

/* ---- a running guest ---- */

/* What became of a filesystem that the agent claims. */
typedef enum {
    FATE_IN_USE, /* in the hold: against */
    FATE_UNKNOWN,
    FATE_CHANGED,    /* quiet in each reading of the hold, but not the same */
    FATE_WENT_QUIET, /* by the freeze */
    FATE_WAS_QUIET,  /* already before */
    FATE_UNSEEN,     /* not on the disks that could be read */
    FATE_INSIDE,     /* in a file of another filesystem */
    FATES,
} Fate;

typedef struct {
    Names names[FATES];
    bool clones; /* several have one UUID */
} ClaimTally;

static void claim_tally_clear(ClaimTally *tally)
{
    for (unsigned i = 0; i < FATES; i++)
        names_clear(&tally->names[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ClaimTally, claim_tally_clear)

static Fate fate_of(const DiskTrack *track)
{
    const DiskPhaseSummary *hold = &track->phases[DISK_PHASE_HOLD];

    if (hold->readings == 0 || hold->state == DISK_STATE_UNKNOWN)
        return FATE_UNKNOWN;
    if (hold->state == DISK_STATE_IN_USE)
        return FATE_IN_USE;
    if (hold->changed)
        return FATE_CHANGED;
    return disk_track_went_quiet(track) ? FATE_WENT_QUIET : FATE_WAS_QUIET;
}

static void tally_track(ClaimTally *tally, const DiskTrack *track)
{
    const DiskPhaseSummary *hold = &track->phases[DISK_PHASE_HOLD];

    names_add(&tally->names[fate_of(track)], track->volume, track->fs_type, hold->because,
              hold->remedy);
}

/* ---- by UUID ---- */

static bool has_uuid(const DiskTrack *track, const char *uuid)
{
    return uuid && track->uuid && g_ascii_strcasecmp(track->uuid, uuid) == 0;
}

/* A copy that lies around with the same UUID may be in any state: then nothing is known. */
static void tally_claimed(ClaimTally *tally, const DiskHistory *history,
                          const WindowFilesystem *claimed)
{
    const DiskTrack *found = NULL;

    for (unsigned i = 0; i < history->tracks->len; i++) {
        const DiskTrack *track = g_ptr_array_index(history->tracks, i);
        if (!has_uuid(track, claimed->uuid))
            continue;
        if (found)
            tally->clones = true;
        found = track;
    }
    if (found && !tally->clones)
        tally_track(tally, found);
    else if (!found && claimed->device && strstr(claimed->device, "/loop"))
        names_add(&tally->names[FATE_INSIDE], claimed->mount_point, NULL, NULL, NULL);
    else if (!found)
        names_add(&tally->names[FATE_UNSEEN], claimed->mount_point ? claimed->mount_point : "?",
                  claimed->fs_type, NULL, NULL);
}

static void tally_by_uuid(ClaimTally *tally, const DiskHistory *history, const GuestWindow *window)
{
    for (unsigned i = 0; i < window->filesystems->len; i++)
        tally_claimed(tally, history, g_ptr_array_index(window->filesystems, i));
}

/* ---- by counting ---- */

/* The ext4 driver mounts all three. */
static const char *family(const char *fs_type)
{
    return fs_type && g_str_has_prefix(fs_type, "ext") && strlen(fs_type) == 4 ? "ext" : fs_type;
}

static bool is_of_family(const DiskTrack *track, const char *name)
{
    return g_strcmp0(family(track->fs_type), name) == 0;
}

/* Which of the tallies of a family's filesystems says what became of the claimed ones: only as many
 * as there are beyond these may be somebody else's. */
static Fate decide_family(const ClaimTally *found, unsigned total, unsigned claimed)
{
    if (found->names[FATE_IN_USE].count > total - claimed)
        return FATE_IN_USE;
    if (found->names[FATE_WENT_QUIET].count >= claimed)
        return FATE_WENT_QUIET;
    if (found->names[FATE_UNKNOWN].count > 0)
        return FATE_UNKNOWN;
    if (found->names[FATE_CHANGED].count > 0)
        return FATE_CHANGED;
    return found->names[FATE_WAS_QUIET].count > 0 ? FATE_WAS_QUIET : FATE_UNSEEN;
}

static void tally_family(ClaimTally *tally, const DiskHistory *history, const char *name,
                         unsigned claimed)
{
    g_auto(ClaimTally) found = {.clones = false};
    unsigned total = 0;

    for (unsigned i = 0; i < history->tracks->len; i++) {
        const DiskTrack *track = g_ptr_array_index(history->tracks, i);
        if (!is_of_family(track, name))
            continue;
        tally_track(&found, track);
        total++;
    }
    Fate fate = total >= claimed ? decide_family(&found, total, claimed) : FATE_UNSEEN;
    const Names *from = &found.names[fate];
    names_add(&tally->names[fate], from->text ? from->text->str : name, NULL, from->because,
              from->remedy);
}

static void tally_by_counting(ClaimTally *tally, const DiskHistory *history, const DiskClaim *claim)
{
    g_autoptr(GHashTable) families = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iterator;
    gpointer name;
    gpointer count;

    for (unsigned i = 0; i < claim->guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(claim->guest->filesystems, i);
        if (!freeze_coverage_includes(claim->coverage, filesystem, claim->window, claim->requested))
            continue;
        if (filesystem->name && g_str_has_prefix(filesystem->name, "loop")) {
            names_add(&tally->names[FATE_INSIDE], filesystem->mount_point, NULL, NULL, NULL);
            continue;
        }
        name = (gpointer)family(filesystem->fs_type);
        count = g_hash_table_lookup(families, name);
        g_hash_table_insert(families, name, GUINT_TO_POINTER(GPOINTER_TO_UINT(count) + 1));
    }
    g_hash_table_iter_init(&iterator, families);
    while (g_hash_table_iter_next(&iterator, &name, &count))
        tally_family(tally, history, name, GPOINTER_TO_UINT(count));
}

/* ---- a snapshot ---- */

static unsigned count_claimed(const DiskClaim *claim, const char *name)
{
    unsigned count = 0;

    for (unsigned i = 0; claim->guest && i < claim->guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(claim->guest->filesystems, i);
        bool nested = filesystem->name && g_str_has_prefix(filesystem->name, "loop");
        count +=
            !nested && g_strcmp0(family(filesystem->fs_type), name) == 0 &&
            freeze_coverage_includes(claim->coverage, filesystem, claim->window, claim->requested);
    }
    return count;
}

static bool state_is_claimed(const FilesystemState *state, const DiskClaim *claim)
{
    if (!claim->window->detailed)
        return count_claimed(claim, family(state->fs_type)) > 0;
    for (unsigned i = 0; i < claim->window->filesystems->len; i++) {
        const WindowFilesystem *claimed = g_ptr_array_index(claim->window->filesystems, i);
        if (claimed->uuid && state->uuid && g_ascii_strcasecmp(claimed->uuid, state->uuid) == 0)
            return true;
    }
    return false;
}

static bool is_taken(const GPtrArray *states, const WindowFilesystem *claimed)
{
    if (claimed->device && strstr(claimed->device, "/loop"))
        return true;
    for (unsigned i = 0; i < states->len; i++) {
        const FilesystemState *state = g_ptr_array_index(states, i);
        if (claimed->uuid && state->uuid && g_ascii_strcasecmp(claimed->uuid, state->uuid) == 0)
            return true;
    }
    return false;
}

static unsigned count_states(const GPtrArray *states, const char *name)
{
    unsigned count = 0;

    for (unsigned i = 0; i < states->len; i++) {
        const FilesystemState *state = g_ptr_array_index(states, i);
        count += g_strcmp0(family(state->fs_type), name) == 0;
    }
    return count;
}

/* The first that the agent claims and that is not in the snapshot; borrowed, NULL without one. */
static const char *find_untaken(const GPtrArray *states, const DiskClaim *claim)
{
    if (claim->window->detailed) {
        for (unsigned i = 0; i < claim->window->filesystems->len; i++) {
            const WindowFilesystem *claimed = g_ptr_array_index(claim->window->filesystems, i);
            if (!is_taken(states, claimed))
                return claimed->mount_point ? claimed->mount_point : "?";
        }
        return NULL;
    }
    for (unsigned i = 0; claim->guest && i < claim->guest->filesystems->len; i++) {
        const GuestFilesystem *filesystem = g_ptr_array_index(claim->guest->filesystems, i);
        const char *name = family(filesystem->fs_type);
        if (count_claimed(claim, name) > count_states(states, name))
            return filesystem->mount_point;
    }
    return NULL;
}

/* A mounted ext is in use however idle it is: one that is quiet was frozen, or is not mounted. */
static bool has_telling(const GPtrArray *states, const DiskClaim *claim)
{
    for (unsigned i = 0; i < states->len; i++) {
        const FilesystemState *state = g_ptr_array_index(states, i);
        if (state->state == DISK_STATE_QUIET && !state->idle_alike && !state->unmounted &&
            state_is_claimed(state, claim))
            return true;
    }
    return false;
}

Evidence *evidence_disk_judge_snapshot(const GPtrArray *states, const DiskClaim *claim)
{
    g_autoptr(Evidence) evidence = evidence_disk_judge_image(states);

    if (evidence->stance != EVIDENCE_FOR)
        return g_steal_pointer(&evidence);
    const char *untaken = find_untaken(states, claim);
    if (untaken)
        return silent(g_strdup_printf("not found in what was taken: %s", untaken), NULL);
    if (has_telling(states, claim))
        return g_steal_pointer(&evidence);
    return silent(
        g_strdup_printf("%s; none of these must have been frozen to look so", evidence->summary),
        "install quiesced in the guest, which has writers of its own, or verify a freeze "
        "while the guest writes");
}

/* ---- the judgement ---- */

static Evidence *judge_quiet(const ClaimTally *tally, const DiskHistory *history)
{
    const Names *went = &tally->names[FATE_WENT_QUIET];
    const Names *was = &tally->names[FATE_WAS_QUIET];
    const Names *inside = &tally->names[FATE_INSIDE];

    if (was->count > 0)
        return silent(g_strdup_printf("%s: quiet in the hold, but before it, too, so that need "
                                      "not be the freeze's doing",
                                      was->text->str),
                      "verify while the guest writes to it");
    if (went->count == 0)
        return silent(
            g_strdup("none of the filesystems that were frozen lies on a disk of its own"), NULL);
    return piece(EVIDENCE_FOR,
                 g_strdup_printf("in use before the freeze and quiet in %u readings during the "
                                 "hold: %s%s%s%s",
                                 history->readings[DISK_PHASE_HOLD], went->text->str,
                                 inside->count > 0 ? " (" : "",
                                 inside->count > 0 ? inside->text->str : "",
                                 inside->count > 0 ? " lies in another filesystem's file)" : ""),
                 NULL);
}

static Evidence *judge_tally(const ClaimTally *tally, const DiskFindings *findings)
{
    const Names *in_use = &tally->names[FATE_IN_USE];
    const Names *unknown = &tally->names[FATE_UNKNOWN];
    const Names *changed = &tally->names[FATE_CHANGED];
    const Names *unseen = &tally->names[FATE_UNSEEN];

    if (in_use->count > 0)
        return piece(
            EVIDENCE_AGAINST,
            g_strdup_printf("in use during the hold: %s: %s", in_use->text->str, in_use->because),
            NULL);
    if (findings->lost)
        return silent(g_strdup(findings->lost), findings->remedy);
    if (tally->clones)
        return silent(g_strdup("several filesystems on the disks have the same UUID, and which of "
                               "them was frozen cannot be told"),
                      "give the copies UUIDs of their own");
    if (unknown->count > 0)
        return silent(g_strdup_printf("cannot be judged: %s: %s", unknown->text->str,
                                      unknown->because ? unknown->because : "not read in the hold"),
                      unknown->remedy);
    if (changed->count > 0)
        return silent(g_strdup_printf("changed during the hold, though quiet in each reading: %s",
                                      changed->text->str),
                      findings->remedy);
    if (unseen->count > 0)
        return silent(g_strdup_printf("not found on the disks that could be read: %s%s%s",
                                      unseen->text->str, findings->unread ? "; " : "",
                                      findings->unread ? findings->unread : ""),
                      findings->remedy);
    return judge_quiet(tally, findings->history);
}

Evidence *evidence_disk_judge(const DiskFindings *findings, const DiskClaim *claim)
{
    g_auto(ClaimTally) tally = {.clones = false};

    if (!findings->history)
        return silent(g_strdup(findings->unavailable), findings->remedy);
    if (findings->history->readings[DISK_PHASE_HOLD] == 0)
        return silent(g_strdup(findings->lost ? findings->lost : "not read during the hold"),
                      findings->remedy);
    if (claim->window->detailed)
        tally_by_uuid(&tally, findings->history, claim->window);
    else if (claim->guest)
        tally_by_counting(&tally, findings->history, claim);
    else
        return silent(g_strdup("the guest does not tell which filesystems it froze"), NULL);
    return judge_tally(&tally, findings);
}
