/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The text in which LVM2 keeps its metadata: sections in braces, and keys with a number, a string
 * or a list of these as value. Comes from the guest's disk, so everything in it is bounded.
 * There is no small library for it: liblvm2app is gone, and libdevmapper's dm_config brings the
 * device mapper with it. Source of the grammar: lvm2, libdm/libdm-config.c.
 */
#define LVM_TEXT_MAX_BYTES (4u * 1024 * 1024)
#define LVM_TEXT_MAX_NODES 200000u
#define LVM_TEXT_MAX_DEPTH 16u

typedef enum { LVM_NUMBER, LVM_STRING, LVM_LIST, LVM_SECTION } LvmNodeKind;

typedef struct LvmNode {
    LvmNodeKind kind;
    char *name; /* NULL for an element of a list */
    int64_t number;
    char *string;
    GPtrArray *children; /* of LvmNode: a list's elements, a section's members */
} LvmNode;

/* The whole text as one section; text needs no terminator. NULL with PROBE_ERROR_DISK. */
LvmNode *lvm_text_parse(const char *text, size_t length, GError **error);
void lvm_node_free(LvmNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LvmNode, lvm_node_free)

/* The member of that name; NULL when there is none of that kind, or section is NULL. Borrowed. */
const LvmNode *lvm_node_find(const LvmNode *section, const char *name, LvmNodeKind kind);
/* NULL when it is no string. */
const char *lvm_node_string(const LvmNode *section, const char *name);
/* False when there is none, or it is negative. */
bool lvm_node_number(const LvmNode *section, const char *name, uint64_t *number);
/* Whether the list of that name has this string in it. */
bool lvm_node_lists(const LvmNode *section, const char *name, const char *string);
