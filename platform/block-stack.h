/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "platform/mount-table.h"

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Which block device lies on what: partitions on disks, dm and md on their slaves, loop devices on
 * the filesystem of their backing file. Read from sysfs; the tests build one by
 * hand.
 */
typedef struct {
    dev_t device;
    char *name;           /* kernel name: "vda1", "dm-0", "loop3" */
    bool partition;       /* of the one device below */
    GArray *lower;        /* of dev_t: the devices directly below */
    char *backing_file;   /* loop devices: the path as sysfs gives it; NULL otherwise */
    dev_t backing_device; /* loop devices: the superblock's st_dev that the kernel names
                             (LOOP_GET_STATUS64, loop(4)); 0 when unknown */
} BlockDevice;

typedef struct {
    GHashTable *devices;     /* dev_t (as guint64 *) -> BlockDevice */
    GHashTable *superblocks; /* dev_t of a superblock with an anonymous number (btrfs) -> GArray of
                                dev_t of its member devices */
    GHashTable *removed; /* set of dev_t (as guint64 *): what mounts lie on and sysfs has no more */
} BlockStack;

BlockStack *block_stack_new(void);
void block_stack_free(BlockStack *stack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockStack, block_stack_free)

/* The block devices that the filesystems in mounts lie on, down to the disks, and the member
 * devices of the btrfs superblocks. A device that is gone, or not in sysfs, is no error. */
BlockStack *block_stack_read(const MountTable *mounts, GError **error);

/* For fixtures: adds a device on top of others; returns it for further filling in. */
BlockDevice *block_stack_add(BlockStack *stack, dev_t device, const char *name);
void block_device_add_lower(BlockDevice *device, dev_t lower);
/* Says on which devices the superblock with this st_dev lives (btrfs). */
void block_stack_add_superblock(BlockStack *stack, dev_t superblock, dev_t member);

/* The device that the superblock with this st_dev lives on, of several the one it was mounted by; 0
 * when none is known. */
dev_t block_stack_first_device(const BlockStack *stack, dev_t superblock);

/* Asks sysfs whether there still is such a block device. */
bool block_stack_device_exists(dev_t device);

/* Says that this device is gone, although it is mounted yet. */
void block_stack_add_removed(BlockStack *stack, dev_t device);
bool block_stack_is_removed(const BlockStack *stack, dev_t device);

const BlockDevice *block_stack_find(const BlockStack *stack, dev_t device);
