/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* A domain's disks out of its XML. Source: libvirt, docs/formatdomain, "Hard drives, floppy disks,
 * CDROMs". */
typedef struct {
    char *name;    /* the target: "vda", as in libvirt's statistics */
    char *format;  /* the driver's type; NULL: not said */
    char *address; /* as disk_image_open() takes it on libvirt's host; NULL: see problem */
    char *problem; /* why it cannot be read from here; NULL: it can */
    bool writable;
} DomainDisk;

/* Of DomainDisk: those with a medium. NULL with a GMarkupError. */
GPtrArray *domain_disks_parse(const char *xml, GError **error);
