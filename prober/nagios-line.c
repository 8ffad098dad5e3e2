/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/nagios-line.h"
#include "prober/terminal-text.h"

#include <inttypes.h>

/* Plugins are promised no more than a kilobyte or so, performance data included. */
#define MAX_REASON_CHARS 300

NagiosStatus nagios_status(const ProbeResult *result)
{
    static const NagiosStatus statuses[] = {
        [VERDICT_FROZEN] = NAGIOS_OK,
        [VERDICT_NOT_FROZEN] = NAGIOS_CRITICAL,
        [VERDICT_UNPROVEN] = NAGIOS_WARNING,
    };

    if (result->unthawed)
        return NAGIOS_CRITICAL;
    return result->judged ? statuses[result->verdict] : NAGIOS_UNKNOWN;
}

/* A '|' would begin the performance data. */
static void append_reason(GString *line, const char *text)
{
    g_autofree char *visible = terminal_text_escape(text);
    glong length = g_utf8_strlen(visible, -1);
    g_autofree char *shown = g_utf8_substring(visible, 0, MIN(length, MAX_REASON_CHARS));

    g_string_append(line, g_strdelimit(shown, "|", '/'));
    if (length > MAX_REASON_CHARS)
        g_string_append(line, "...");
}

/* The first piece that kept the verdict from being FROZEN. */
static const Evidence *find_culprit(const ProbeResult *result)
{
    EvidenceStance wanted =
        result->verdict == VERDICT_NOT_FROZEN ? EVIDENCE_AGAINST : EVIDENCE_SILENT;

    for (unsigned i = 0; i < result->evidence->len; i++) {
        const Evidence *piece = g_ptr_array_index(result->evidence, i);
        if (piece->stance == wanted)
            return piece;
    }
    return NULL;
}

static void append_text(GString *line, const ProbeResult *result)
{
    if (result->unthawed || !result->judged) {
        append_reason(line, result->failure    ? result->failure
                            : result->unthawed ? "the guest may still be frozen"
                                               : "no verdict");
        return;
    }
    g_string_append_printf(line, "%s, %s", verdict_name(result->verdict),
                           consistency_name(result->consistency));
    const Evidence *culprit = result->verdict == VERDICT_FROZEN ? NULL : find_culprit(result);
    if (!culprit)
        return;
    g_string_append_printf(line, "; %s: ", evidence_source_name(culprit->source));
    append_reason(line, culprit->summary);
}

static void append_seconds(GString *line, const char *name, int64_t duration_us)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf(
        line, " %s=%ss;;;0", name,
        g_ascii_formatd(number, sizeof(number), "%.6f", (double)duration_us / G_USEC_PER_SEC));
}

char *nagios_line(const ProbeResult *result)
{
    static const char *const words[] = {
        [NAGIOS_OK] = "OK",
        [NAGIOS_WARNING] = "WARNING",
        [NAGIOS_CRITICAL] = "CRITICAL",
        [NAGIOS_UNKNOWN] = "UNKNOWN",
    };
    GString *line = g_string_new("QUIESCE ");
    const GuestWindow *window = result->window;

    g_string_append_printf(line, "%s - ", words[nagios_status(result)]);
    append_text(line, result);
    if (window && window->freeze_replied) {
        g_string_append(line, " |");
        append_seconds(line, "hold", window->hold_us);
        append_seconds(line, "freeze", window->freeze_us);
        append_seconds(line, "thaw", window->thaw_us);
        g_string_append_printf(line, " filesystems=%" PRId64 ";;;0", window->frozen_count);
    }
    return g_string_free(line, FALSE);
}
