/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/block-stack.h"
#include "platform/mount-table.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Which superblock lies on which: through loop devices to the filesystem of the backing file,
 * whatever lies between them (partitions, dm, md, btrfs members), and through stacked filesystems
 * to the one that takes their writes. Pure.
 */
typedef struct {
    dev_t device;       /* of the superblock */
    const Mount *mount; /* its first mount in the table; borrowed */
    GArray *lower;      /* of guint: indices of the nodes directly below */
    unsigned wave;      /* set by superblock_graph_order() */
} SuperblockNode;

typedef struct {
    GPtrArray *nodes;  /* of SuperblockNode, in mount order */
    GHashTable *index; /* dev_t (as guint64 *) -> index + 1 */
} SuperblockGraph;

/* mounts must outlive the graph. */
SuperblockGraph *superblock_graph_new(const MountTable *mounts, const BlockStack *stack);
void superblock_graph_free(SuperblockGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SuperblockGraph, superblock_graph_free)

/* NULL when no mount has this device number. */
SuperblockNode *superblock_graph_find(const SuperblockGraph *graph, dev_t device);

/* Whether upper lies on lower, directly or over others. */
bool superblock_graph_lies_on(const SuperblockGraph *graph, dev_t upper, dev_t lower);

/* The devices at the very bottom of a superblock, through loop files and whatever else: disks, or
 * partitions of them. An array of dev_t, each once; free with g_array_unref(). */
GArray *superblock_graph_disks(const SuperblockGraph *graph, const BlockStack *stack, dev_t device);

/*
 * Sets the wave of each node: the length of the longest chain of chosen superblocks that lie on it,
 * so that 0 is what nothing chosen lies on. chosen: a set of dev_t (as guint64 *). A cycle through
 * a chosen superblock is an error that names the filesystems in it.
 */
bool superblock_graph_order(SuperblockGraph *graph, GHashTable *chosen, GError **error);
