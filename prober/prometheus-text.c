/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/prometheus-text.h"
#include "prober/terminal-text.h"

#include <string.h>

/* One family of series is written at a time, as the format demands. */
typedef struct {
    GString *text;
    const char *name;
    GHashTable *told; /* set of char *: the label sets of this family so far */
    const ProbeResult *result;
} Family;

static void append_escaped(GString *text, const char *value)
{
    g_autofree char *visible = terminal_text_escape(value);

    for (const char *at = visible; *at != '\0'; at++) {
        if (*at == '\\' || *at == '"')
            g_string_append_c(text, '\\');
        g_string_append_c(text, *at);
    }
}

static void append_label(GString *labels, const char *name, const char *value)
{
    g_string_append_printf(labels, "%s%s=\"", labels->len > 0 ? "," : "", name);
    append_escaped(labels, value);
    g_string_append_c(labels, '"');
}

/* More labels: name, value, name, value, NULL. A series that has been told is not told again. */
static void append_series(const Family *family, double value, ...) G_GNUC_NULL_TERMINATED;
static void append_series(const Family *family, double value, ...)
{
    g_autoptr(GString) labels = g_string_new(NULL);
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    va_list more;

    append_label(labels, "guest", family->result->guest);
    append_label(labels, "verb", family->result->verb);
    va_start(more, value);
    for (const char *name = va_arg(more, const char *); name; name = va_arg(more, const char *))
        append_label(labels, name, va_arg(more, const char *));
    va_end(more);
    if (g_hash_table_add(family->told, g_strdup(labels->str)))
        g_string_append_printf(family->text, "%s{%s} %s\n", family->name, labels->str,
                               g_ascii_formatd(number, sizeof(number), "%.15g", value));
}

/* ---- the families ---- */

static void tell_run(const Family *family)
{
    append_series(family, (double)family->result->began_at_us / G_USEC_PER_SEC, NULL);
}

static void tell_duration(const Family *family)
{
    append_series(family, (double)family->result->took_us / G_USEC_PER_SEC, NULL);
}

static void tell_success(const Family *family)
{
    append_series(family, family->result->judged && !family->result->unthawed, NULL);
}

static void tell_unthawed(const Family *family)
{
    append_series(family, family->result->unthawed, NULL);
}

static void tell_verdict(const Family *family)
{
    const ProbeResult *result = family->result;

    for (Verdict verdict = VERDICT_FROZEN; verdict <= VERDICT_UNPROVEN; verdict++)
        append_series(family, result->judged && result->verdict == verdict, "verdict",
                      verdict_name(verdict), NULL);
}

static void tell_consistency(const Family *family)
{
    const ProbeResult *result = family->result;

    for (Consistency level = CONSISTENCY_CRASH; level <= CONSISTENCY_APPLICATION; level++)
        append_series(family, result->judged && result->consistency == level, "level",
                      consistency_name(level), NULL);
}

static void tell_evidence(const Family *family)
{
    const GPtrArray *pieces = family->result->evidence;

    for (unsigned i = 0; i < pieces->len; i++) {
        const Evidence *piece = g_ptr_array_index(pieces, i);
        for (EvidenceStance stance = EVIDENCE_FOR; stance <= EVIDENCE_SILENT; stance++)
            append_series(family, piece->stance == stance, "source",
                          evidence_source_name(piece->source), "stance",
                          evidence_stance_name(stance), NULL);
    }
}

static const GuestWindow *window_of(const Family *family)
{
    const GuestWindow *window = family->result->window;

    return window && window->freeze_replied ? window : NULL;
}

static void tell_frozen(const Family *family)
{
    if (window_of(family))
        append_series(family, (double)window_of(family)->frozen_count, NULL);
}

static void tell_freeze(const Family *family)
{
    if (window_of(family))
        append_series(family, (double)window_of(family)->freeze_us / G_USEC_PER_SEC, NULL);
}

static void tell_hold(const Family *family)
{
    if (window_of(family))
        append_series(family, (double)window_of(family)->hold_us / G_USEC_PER_SEC, NULL);
}

static void tell_thaw(const Family *family)
{
    if (window_of(family))
        append_series(family, (double)window_of(family)->thaw_us / G_USEC_PER_SEC, NULL);
}

/* member: where in a WindowFilesystem the duration is. */
static void tell_filesystems(const Family *family, size_t member)
{
    const GPtrArray *filesystems = window_of(family) ? window_of(family)->filesystems : NULL;

    for (unsigned i = 0; filesystems && i < MIN(filesystems->len, PROMETHEUS_TEXT_MAX_SERIES);
         i++) {
        const WindowFilesystem *filesystem = g_ptr_array_index(filesystems, i);
        double duration_ms = G_STRUCT_MEMBER(double, filesystem, member);
        if (duration_ms >= 0)
            append_series(family, duration_ms / 1000, "mountpoint", filesystem->mount_point, NULL);
    }
}

static void tell_presyncs(const Family *family)
{
    tell_filesystems(family, G_STRUCT_OFFSET(WindowFilesystem, presync_ms));
}

static void tell_freezes(const Family *family)
{
    tell_filesystems(family, G_STRUCT_OFFSET(WindowFilesystem, freeze_ms));
}

static void tell_holds(const Family *family)
{
    tell_filesystems(family, G_STRUCT_OFFSET(WindowFilesystem, held_ms));
}

static void tell_device_writes(const Family *family)
{
    const GPtrArray *devices = family->result->watch ? family->result->watch->devices : NULL;

    for (unsigned i = 0; devices && i < MIN(devices->len, PROMETHEUS_TEXT_MAX_SERIES); i++) {
        const DeviceActivity *device = g_ptr_array_index(devices, i);
        append_series(family, (double)device->phases[COUNTER_PHASE_HOLD].writes, "device",
                      device->name, NULL);
    }
}

static const struct {
    const char *name;
    const char *help;
    void (*tell)(const Family *family);
} families[] = {
    {"quiesce_probe_last_run_timestamp_seconds", "When the last run began.", tell_run},
    {"quiesce_probe_run_duration_seconds", "How long the last run took.", tell_duration},
    {"quiesce_probe_success", "Whether the last run came to a verdict and thawed the guest.",
     tell_success},
    {"quiesce_probe_guest_may_be_frozen", "Whether the last run could not thaw the guest.",
     tell_unthawed},
    {"quiesce_probe_verdict", "1 for the verdict of the last run.", tell_verdict},
    {"quiesce_probe_consistency", "1 for how consistent a snapshot of the last run is.",
     tell_consistency},
    {"quiesce_probe_evidence", "1 for what a source of evidence says.", tell_evidence},
    {"quiesce_probe_frozen_filesystems", "How many filesystems the agent says it froze.",
     tell_frozen},
    {"quiesce_probe_freeze_duration_seconds", "From the freeze's request to its reply.",
     tell_freeze},
    {"quiesce_probe_hold_duration_seconds", "From the freeze's reply to the thaw's request.",
     tell_hold},
    {"quiesce_probe_thaw_duration_seconds", "From the thaw's request to its last reply.",
     tell_thaw},
    {"quiesce_probe_filesystem_presync_duration_seconds",
     "How long a filesystem was written out before its freeze.", tell_presyncs},
    {"quiesce_probe_filesystem_freeze_duration_seconds",
     "How long the freeze of a filesystem took.", tell_freezes},
    {"quiesce_probe_filesystem_hold_duration_seconds", "How long a filesystem was frozen.",
     tell_holds},
    {"quiesce_probe_device_hold_writes", "Writes of a device during the hold.", tell_device_writes},
};

char *prometheus_text(const GPtrArray *results)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(families); i++) {
        g_autoptr(GHashTable) told = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_string_append_printf(text, "# HELP %s %s\n# TYPE %s gauge\n", families[i].name,
                               families[i].help, families[i].name);
        for (unsigned guest = 0; guest < results->len; guest++) {
            Family family = {text, families[i].name, told, g_ptr_array_index(results, guest)};
            families[i].tell(&family);
        }
    }
    return g_string_free(text, FALSE);
}
