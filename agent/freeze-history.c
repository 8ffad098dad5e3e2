/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-history.h"

#include "agent/freeze-report.h"
#include "agent/log.h"

#include <json-c/json.h>
#include <string.h>

#define TOPIC "history"
/* A record of 256 filesystems takes some 100 KiB; a file beyond this is none of ours. */
#define MAX_FILE_BYTES (32u * 1024 * 1024)

struct FreezeHistory {
    char *path;
    GQueue records; /* of char *: one JSON object each, oldest first */
};

static void drop_oldest(FreezeHistory *history)
{
    while (history->records.length > FREEZE_HISTORY_WINDOWS)
        g_free(g_queue_pop_head(&history->records));
}

static void load(FreezeHistory *history)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    if (!g_file_get_contents(history->path, &text, &length, &error)) {
        if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            log_warning(TOPIC, "cannot read the history of earlier freezes: %s", error->message);
        return;
    }
    g_auto(GStrv) lines = g_strsplit(length <= MAX_FILE_BYTES ? text : "", "\n", -1);
    for (char **line = lines; *line; line++) {
        json_object *record = **line ? json_tokener_parse(*line) : NULL;
        if (json_object_is_type(record, json_type_object))
            g_queue_push_tail(&history->records, g_strdup(*line));
        json_object_put(record);
    }
    drop_oldest(history);
}

static void save(const FreezeHistory *history)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    for (const GList *link = history->records.head; link; link = link->next)
        g_string_append_printf(text, "%s\n", (char *)link->data);
    if (!g_file_set_contents_full(history->path, text->str, (gssize)text->len,
                                  G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
        log_warning(TOPIC, "cannot keep the history of freezes: %s", error->message);
}

FreezeHistory *freeze_history_new(const char *path)
{
    FreezeHistory *history = g_new0(FreezeHistory, 1);

    history->path = g_strdup(path);
    g_queue_init(&history->records);
    load(history);
    return history;
}

void freeze_history_free(FreezeHistory *history)
{
    if (!history)
        return;
    g_queue_clear_full(&history->records, g_free);
    g_free(history->path);
    g_free(history);
}

static void add(FreezeHistory *history, JsonWriter *writer, bool may_save)
{
    g_queue_push_tail(&history->records, g_strdup(json_writer_text(writer, NULL)));
    drop_oldest(history);
    if (may_save)
        save(history);
}

void freeze_history_add(FreezeHistory *history, const FreezeWindow *window, const GError *error,
                        bool may_save)
{
    g_autoptr(JsonWriter) writer = json_writer_new();

    freeze_report_write_record(writer, NULL, window, error);
    add(history, writer, may_save);
}

void freeze_history_add_lost(FreezeHistory *history, const char *command, int64_t began_at_us,
                             int64_t thawed_at_us, const char *reason)
{
    g_autoptr(JsonWriter) writer = json_writer_new();

    json_writer_begin_object(writer, NULL);
    json_writer_optional_string(writer, "command", command);
    json_writer_integer(writer, "began-at-us", began_at_us);
    json_writer_integer(writer, "thawed-at-us", thawed_at_us);
    json_writer_boolean(writer, "intact", false);
    json_writer_string(writer, "broken-reason", reason);
    json_writer_end_object(writer);
    add(history, writer, true);
}

void freeze_history_write(const FreezeHistory *history, JsonWriter *writer, const char *name,
                          unsigned count)
{
    unsigned skip = history->records.length - MIN(count, history->records.length);

    json_writer_begin_array(writer, name);
    for (const GList *link = g_queue_peek_nth_link((GQueue *)&history->records, skip); link;
         link = link->next) {
        json_object *record = json_tokener_parse(link->data);
        json_writer_value(writer, NULL, record);
        json_object_put(record);
    }
    json_writer_end_array(writer);
}
