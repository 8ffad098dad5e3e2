/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/libvirt/domain-disks.h"

#include <string.h>

/* What is collected of one <disk>. */
typedef struct {
    DomainDisk *disk;
    char *type;
    bool has_source;
    char *path;     /* file or dev */
    char *protocol; /* of a network source */
    char *image;    /* its name */
    char *user;
    GString *hosts; /* host:port, separated by ',' */
} Draft;

typedef struct {
    GPtrArray *disks;
    Draft *draft; /* NULL: outside of a <disk> */
} Parser;

static void domain_disk_free(gpointer data)
{
    DomainDisk *disk = data;

    g_free(disk->name);
    g_free(disk->format);
    g_free(disk->address);
    g_free(disk->problem);
    g_free(disk);
}

static void draft_free(Draft *draft)
{
    if (draft->disk)
        domain_disk_free(draft->disk);
    g_free(draft->type);
    g_free(draft->path);
    g_free(draft->protocol);
    g_free(draft->image);
    g_free(draft->user);
    g_string_free(draft->hosts, TRUE);
    g_free(draft);
}

static const char *attribute(const char *const *names, const char *const *values, const char *name)
{
    for (; *names; names++, values++) {
        if (strcmp(*names, name) == 0)
            return *values;
    }
    return NULL;
}

static void take(char **place, const char *value)
{
    if (value && !*place)
        *place = g_strdup(value);
}

static void begin_disk(Parser *parser, const char *const *names, const char *const *values)
{
    Draft *draft = g_new0(Draft, 1);

    draft->disk = g_new0(DomainDisk, 1);
    draft->disk->writable = g_strcmp0(attribute(names, values, "device"), "cdrom") != 0;
    draft->hosts = g_string_new(NULL);
    take(&draft->type, attribute(names, values, "type"));
    parser->draft = draft;
}

static void take_source(Draft *draft, const char *const *names, const char *const *values)
{
    draft->has_source = true;
    take(&draft->path, attribute(names, values, "file"));
    take(&draft->path, attribute(names, values, "dev"));
    take(&draft->protocol, attribute(names, values, "protocol"));
    take(&draft->image, attribute(names, values, "name"));
}

static void take_host(Draft *draft, const char *const *names, const char *const *values)
{
    const char *host = attribute(names, values, "name");
    const char *port = attribute(names, values, "port");

    if (!host)
        return;
    if (draft->hosts->len > 0)
        g_string_append_c(draft->hosts, ',');
    g_string_append(draft->hosts, host);
    if (port)
        g_string_append_printf(draft->hosts, ":%s", port);
}

/* path: the elements below <disk>, this one included. A backing image or a mirror has a <source>
 * of its own, deeper down, which is not the disk's. */
static void take_element(Draft *draft, const char *path, const char *const *names,
                         const char *const *values)
{
    if (strcmp(path, "driver") == 0)
        take(&draft->disk->format, attribute(names, values, "type"));
    else if (strcmp(path, "target") == 0)
        take(&draft->disk->name, attribute(names, values, "dev"));
    else if (strcmp(path, "readonly") == 0)
        draft->disk->writable = false;
    else if (strcmp(path, "source") == 0)
        take_source(draft, names, values);
    else if (strcmp(path, "source/host") == 0)
        take_host(draft, names, values);
    else if (strcmp(path, "source/auth") == 0 || strcmp(path, "auth") == 0)
        take(&draft->user, attribute(names, values, "username"));
}

/* QEMU's rbd: syntax escapes ':' and '=' with a backslash (block/rbd.c). */
static void append_rbd_value(GString *address, const char *value)
{
    for (; *value; value++) {
        if (strchr(":=@\\", *value))
            g_string_append_c(address, '\\');
        g_string_append_c(address, *value);
    }
}

/* libvirt keeps the key to itself: librbd finds the user's in its keyring. */
static char *rbd_address(const Draft *draft)
{
    GString *address = g_string_new("rbd:");

    append_rbd_value(address, draft->image);
    if (draft->user) {
        g_string_append(address, ":id=");
        append_rbd_value(address, draft->user);
    }
    if (draft->hosts->len > 0) {
        g_auto(GStrv) hosts = g_strsplit(draft->hosts->str, ",", -1);
        g_autofree char *monitors = g_strjoinv(";", hosts);
        g_string_append(address, ":mon_host=");
        append_rbd_value(address, monitors);
    }
    return g_string_free(address, FALSE);
}

static void find_address(Draft *draft)
{
    DomainDisk *disk = draft->disk;

    if (draft->path)
        disk->address = g_strdup(draft->path);
    else if (g_strcmp0(draft->protocol, "rbd") == 0 && draft->image)
        disk->address = rbd_address(draft);
    else if (g_strcmp0(draft->protocol, "nbd") == 0 && draft->hosts->len > 0)
        disk->address =
            g_strdup_printf("nbd://%s/%s", draft->hosts->str, draft->image ? draft->image : "");
    else
        disk->problem = g_strdup_printf(
            "a source of libvirt's type %s%s%s cannot be read from outside of the guest",
            draft->type ? draft->type : "?", draft->protocol ? ", protocol " : "",
            draft->protocol ? draft->protocol : "");
}

static void end_disk(Parser *parser)
{
    Draft *draft = g_steal_pointer(&parser->draft);

    if (draft->has_source && draft->disk->name) {
        find_address(draft);
        g_ptr_array_add(parser->disks, g_steal_pointer(&draft->disk));
    }
    draft_free(draft);
}

/* How deep <disk> stands in the domain's XML: domain, devices, disk. */
#define DISK_DEPTH 3

static unsigned depth_of(GMarkupParseContext *context)
{
    return g_slist_length((GSList *)g_markup_parse_context_get_element_stack(context));
}

static void start_element(GMarkupParseContext *context, const char *element, const char **names,
                          const char **values, gpointer data, GError **error)
{
    Parser *parser = data;
    unsigned depth = depth_of(context);

    if (depth == DISK_DEPTH && strcmp(element, "disk") == 0) {
        begin_disk(parser, names, values);
    } else if (parser->draft && depth == DISK_DEPTH + 1) {
        take_element(parser->draft, element, names, values);
    } else if (parser->draft && depth == DISK_DEPTH + 2) {
        const GSList *stack = g_markup_parse_context_get_element_stack(context);
        g_autofree char *path = g_strconcat(stack->next->data, "/", element, NULL);
        take_element(parser->draft, path, names, values);
    }
}

static void end_element(GMarkupParseContext *context, const char *element, gpointer data,
                        GError **error)
{
    Parser *parser = data;

    if (parser->draft && depth_of(context) == DISK_DEPTH)
        end_disk(parser);
}

GPtrArray *domain_disks_parse(const char *xml, GError **error)
{
    const GMarkupParser functions = {.start_element = start_element, .end_element = end_element};
    Parser parser = {.disks = g_ptr_array_new_with_free_func(domain_disk_free)};
    GMarkupParseContext *context = g_markup_parse_context_new(&functions, 0, &parser, NULL);
    bool complete = g_markup_parse_context_parse(context, xml, -1, error) &&
                    g_markup_parse_context_end_parse(context, error);

    g_markup_parse_context_free(context);
    g_clear_pointer(&parser.draft, draft_free);
    if (!complete)
        g_clear_pointer(&parser.disks, g_ptr_array_unref);
    return parser.disks;
}
