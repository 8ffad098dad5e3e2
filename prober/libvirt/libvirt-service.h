/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <json-c/json.h>
#include <stdint.h>

/*
 * libvirt, one domain of it, behind calls with a deadline: a child process, quiesce-probe-libvirt
 * (main.c), which is started by the first call and killed, however libvirt hangs, when a call ends
 * without its reply. It is looked for beside this program and then in libexecdir.
 */
typedef struct LibvirtService LibvirtService;

/* domain: empty for "list" alone. uri: NULL is libvirt's default. Starts nothing yet.
 * connect_timeout_ms bounds the way to the domain, once per child. */
LibvirtService *libvirt_service_new(const char *uri, const char *domain,
                                    int64_t connect_timeout_ms);
void libvirt_service_free(LibvirtService *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LibvirtService, libvirt_service_free)

/* As client_set_interrupt_fd() (protocol/client.h). */
void libvirt_service_set_interrupt_fd(LibvirtService *service, int interrupt_fd);

/* Ends the child; the next call starts another one. */
void libvirt_service_stop(LibvirtService *service);

/*
 * The object that main.c's table promises for request, owned by the caller. arguments may be NULL;
 * not taken. Errors: PROBE_ERROR_LIBVIRT, what libvirt says or that it cannot be asked;
 * CLIENT_ERROR_REPLY and CLIENT_ERROR_COMMAND_NOT_FOUND, the agent's own answer;
 * CLIENT_ERROR_TIMEOUT, CLIENT_ERROR_CLOSED, CLIENT_ERROR_INTERRUPTED.
 */
json_object *libvirt_service_call(LibvirtService *service, const char *request,
                                  json_object *arguments, int64_t timeout_ms, GError **error);
