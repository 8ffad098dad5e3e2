/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/agent-link.h"
#include "prober/counter-source.h"
#include "prober/snapshot-taker.h"

#include <glib.h>
#include <stdint.h>

/*
 * One guest as the command line names it, and the ways to it: its agent, its write counters, its
 * disks. The only place that knows which transport serves which. Verbs hold a Target, never a path.
 */
typedef struct {
    char *name;        /* for people: the domain, "vsock CID:PORT", or the socket's path */
    char *words;       /* the options of this program that lead to its agent, for a shell */
    char *socket_path; /* the agent's character device; NULL: another way */
    uint32_t vsock_cid;
    uint32_t vsock_port; /* 0: no vsock */
    char *connect_uri;   /* libvirt; NULL: libvirt's default URI */
    char *domain;        /* libvirt: name, UUID or ID; NULL: no libvirt */
    char *qmp_path;      /* NULL: none */
} Target;

/* What the command line says of a guest; NULL where it says nothing. */
typedef struct {
    const char *socket_path;
    const char *vsock; /* CID[:PORT] */
    const char *connect_uri;
    const char *domain;
    const char *qmp_path;
} TargetOptions;

/* Without a port. Nothing is assigned to guest agents; this one stands in QEMU's own examples. */
#define TARGET_VSOCK_PORT 1234

/* NULL with PROBE_ERROR_USAGE unless they name exactly one way to an agent. */
Target *target_new(const TargetOptions *options, GError **error);
Target *target_copy(const Target *target);
void target_free(Target *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Target, target_free)

/* Connects nothing yet, libvirt included. */
AgentLink *target_agent(const Target *target, int64_t timeout_ms);

/* Where the bytes of one disk of a libvirt domain are, for disk_image_open()
 * (prober/disk/disk-image.h). */
typedef struct {
    char *name;    /* as in the counters: "vda" */
    char *address; /* NULL: see problem */
    char *format;  /* what libvirt gives QEMU, and not to be guessed anew; NULL: not said */
    char *problem; /* why it cannot be read from here; NULL: it can */
} TargetDiskSource;

void target_disk_source_free(TargetDiskSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TargetDiskSource, target_disk_source_free)

/* Of TargetDiskSource: the writable disks of a domain, which need not be running. They are open in
 * its QEMU if it is: read-only, and sharing (qemu-nbd --read-only, force-share), is the only way.
 * NULL with an error of libvirt_service_call() (prober/libvirt/libvirt-service.h), or with
 * PROBE_ERROR_USAGE when the target is no domain. */
GPtrArray *target_disk_sources(const Target *target, int64_t timeout_ms, int interrupt_fd,
                               GError **error);

/* The hypervisor's counters: QMP, else libvirt. NULL with an error; *remedy (static) then tells
 * what to add or check. */
CounterSource *target_counters(const Target *target, int64_t timeout_ms, int interrupt_fd,
                               const char **remedy, GError **error);

/* Who takes snapshots of its disks: QMP, else libvirt. NULL with an error. */
SnapshotTaker *target_snapshots(const Target *target, int64_t timeout_ms, int interrupt_fd,
                                GError **error);
