/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/libvirt-service.h"
#include "build-config.h"
#include "prober/json-field.h"
#include "prober/probe-error.h"
#include "protocol/client.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "quiesce-probe-libvirt"

struct LibvirtService {
    char *uri;
    char *domain;
    char *name; /* for messages */
    int64_t connect_timeout_ms;
    int interrupt_fd;
    GPid child;
    Client *client; /* NULL: no child */
};

LibvirtService *libvirt_service_new(const char *uri, const char *domain, int64_t connect_timeout_ms)
{
    LibvirtService *service = g_new0(LibvirtService, 1);

    service->uri = g_strdup(uri);
    service->domain = g_strdup(domain);
    service->name = uri ? g_strdup_printf("libvirt at %s", uri) : g_strdup("libvirt");
    service->connect_timeout_ms = connect_timeout_ms;
    service->interrupt_fd = -1;
    return service;
}

void libvirt_service_free(LibvirtService *service)
{
    libvirt_service_stop(service);
    g_free(service->uri);
    g_free(service->domain);
    g_free(service->name);
    g_free(service);
}

void libvirt_service_set_interrupt_fd(LibvirtService *service, int interrupt_fd)
{
    service->interrupt_fd = interrupt_fd;
    if (service->client)
        client_set_interrupt_fd(service->client, interrupt_fd);
}

void libvirt_service_stop(LibvirtService *service)
{
    if (!service->client)
        return;
    g_clear_pointer(&service->client, client_free);
    kill(service->child, SIGKILL);
    while (waitpid(service->child, NULL, 0) < 0 && errno == EINTR)
        ;
    g_spawn_close_pid(service->child);
}

/* Where this program was not installed, as in the tests, the child stands beside it. */
static char *find_program(GError **error)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : g_strdup(".");
    g_autofree char *beside = g_build_filename(folder, PROGRAM, NULL);

    if (g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&beside);
    if (g_file_test(QUIESCED_LIBEXECDIR "/" PROGRAM, G_FILE_TEST_IS_EXECUTABLE))
        return g_strdup(QUIESCED_LIBEXECDIR "/" PROGRAM);
    g_set_error(error, PROBE_ERROR, PROBE_ERROR_LIBVIRT,
                "--domain needs the program " QUIESCED_LIBEXECDIR "/" PROGRAM
                ", which is not there: install it, or build with -Dlibvirt=enabled; or use "
                "--socket or --vsock");
    return NULL;
}

static bool start(LibvirtService *service, GError **error)
{
    g_autofree char *program = find_program(error);
    g_autoptr(GError) problem = NULL;
    int fds[2];

    if (!program)
        return false;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_LIBVIRT, "cannot start %s: %s", program,
                    g_strerror(errno));
        return false;
    }
    const char *const arguments[] = {program, service->domain, service->uri, NULL};
    bool started = g_spawn_async_with_fds(NULL, (char **)arguments, NULL,
                                          G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL,
                                          NULL, NULL, &service->child, fds[1], -1, -1, &problem);
    close(fds[1]);
    if (!started) {
        close(fds[0]);
        g_set_error(error, PROBE_ERROR, PROBE_ERROR_LIBVIRT, "cannot start %s: %s", program,
                    problem->message);
        return false;
    }
    service->client = client_new(fds[0], service->name);
    client_set_interrupt_fd(service->client, service->interrupt_fd);
    return true;
}

/* protocol/client.c takes its peer for an agent; here it is the way there that fails. */
static void explain(const LibvirtService *service, const char *request, int64_t timeout_ms,
                    GError *problem, GError **error)
{
    if (problem->code == CLIENT_ERROR_TIMEOUT)
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_TIMEOUT,
                    "%s did not answer within %" G_GINT64_FORMAT
                    " ms (%s, domain %s); does 'virsh domstate' answer, or does libvirt's daemon "
                    "hang?",
                    service->name, timeout_ms, request, service->domain);
    else if (problem->code == CLIENT_ERROR_CLOSED)
        g_set_error(error, CLIENT_ERROR, CLIENT_ERROR_CLOSED,
                    PROGRAM " ended on its own, while it worked for domain %s", service->domain);
    else
        g_propagate_error(error, g_error_copy(problem));
}

static json_object *call(LibvirtService *service, const char *request, json_object *arguments,
                         int64_t timeout_ms, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_object *reply = client_call(service->client, request, arguments, timeout_ms, &problem);
    const char *trouble = json_field_string(reply, "trouble");

    if (g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_REPLY) ||
        g_error_matches(problem, CLIENT_ERROR, CLIENT_ERROR_COMMAND_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (problem) {
        libvirt_service_stop(service);
        explain(service, request, timeout_ms, problem, error);
        return NULL;
    }
    if (!trouble)
        return reply;
    g_set_error_literal(error, PROBE_ERROR, PROBE_ERROR_LIBVIRT, trouble);
    json_object_put(reply);
    return NULL;
}

static bool ensure_open(LibvirtService *service, GError **error)
{
    if (service->client)
        return true;
    if (!start(service, error))
        return false;
    json_object *reply = call(service, "open", NULL, service->connect_timeout_ms, error);
    if (!reply) {
        libvirt_service_stop(service);
        return false;
    }
    json_object_put(reply);
    return true;
}

json_object *libvirt_service_call(LibvirtService *service, const char *request,
                                  json_object *arguments, int64_t timeout_ms, GError **error)
{
    if (!ensure_open(service, error))
        return NULL;
    return call(service, request, arguments, timeout_ms, error);
}
