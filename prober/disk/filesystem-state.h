/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/disk/disk-bytes.h"
#include "prober/disk/volume.h"

#include <glib.h>
#include <stdbool.h>

/*
 * What a filesystem's own metadata on disk tell about the moment when the bytes were taken. Never a
 * guess: what cannot be known is DISK_STATE_UNKNOWN with the reason.
 */
typedef enum {
    DISK_STATE_QUIET,   /* as a freeze, or a clean unmount, leaves it */
    DISK_STATE_IN_USE,  /* it was mounted for writing, and not frozen */
    DISK_STATE_UNKNOWN, /* because says why */
} DiskState;

typedef struct {
    char *name;  /* "journal", "state", "orphans", "last write", "log", "log tree", "generation" */
    char *value; /* for people */
} DiskFact;

typedef struct {
    char *volume;  /* Volume.name; of several devices (btrfs): "vdb, vdc" */
    char *fs_type; /* NULL when not even that is known */
    char *uuid;
    char *label;
    DiskState state;
    bool unmounted;    /* with QUIET: it is known to be a clean unmount, not a freeze (it may be
                          mounted again, unchanged since) */
    bool idle_alike;   /* with QUIET: one that is in use, but was left alone for a while (xfs: about
                          a minute without a change that reached the log; btrfs: without an fsync
                          since its last commit) looks the same */
    bool by_unflushed; /* with IN_USE: only a copy says so that is written without a flush after it
                          (btrfs: a superblock's mirror). A qcow2's QEMU may still have it in
                          memory, and its file the one before, though the guest is frozen. */
    char *because;     /* one sentence with the fields and numbers that decided */
    char *remedy;      /* with UNKNOWN, where there is one; else NULL */
    uint64_t generation; /* a number that grows with each commit (btrfs generation, xfs LSN, ext
                            s_wtime); 0: none. Tells two readings of one filesystem apart. */
    GPtrArray *facts;    /* of DiskFact */
} FilesystemState;

/* Takes because over. */
FilesystemState *filesystem_state_new(const char *fs_type, DiskState state, char *because);
/* Takes value over. */
void filesystem_state_add_fact(FilesystemState *state, const char *name, char *value);
void filesystem_state_free(FilesystemState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FilesystemState, filesystem_state_free)

/* For readers of superblocks: uuid of 16 bytes; label, of length bytes, ends earlier at a NUL and
 * may hold anything. NULL for all zeros, and for an empty label. */
char *filesystem_state_format_uuid(const uint8_t *uuid);
char *filesystem_state_format_label(const uint8_t *label, size_t length);

/* "quiet", "in use", "unknown" */
const char *disk_state_name(DiskState state);

/* volumes: of Volume, as volumes_find() returns them. One FilesystemState for each filesystem
 * (a btrfs of several devices once, all its devices looked at), and one of DISK_STATE_UNKNOWN for
 * each opaque volume, for each filesystem of a type that has no reader here, and for each that
 * libblkid does not recognise although a superblock's magic number is there. Swap, blank and
 * unrecognised volumes give nothing. Never NULL. */
GPtrArray *filesystem_states_read(const GPtrArray *volumes);
