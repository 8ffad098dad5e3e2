/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/result-outputs.h"
#include "prober/nagios-line.h"
#include "prober/output-file.h"
#include "prober/prometheus-text.h"
#include "prober/report-page.h"
#include "prober/verb.h"

#include <stdio.h>

bool result_outputs_check(const Options *options, GError **error)
{
    return (!options->html_path || output_file_check(options->html_path, error)) &&
           (!options->prometheus_path || output_file_check(options->prometheus_path, error));
}

/* path: NULL: not wanted. text is taken. */
static bool write_file(const char *path, char *text)
{
    g_autofree char *taken = text;
    g_autoptr(GError) error = NULL;

    if (!path || output_file_write(path, taken, &error))
        return true;
    verb_complain(error->message);
    return false;
}

static char *metrics(const ProbeResult *result)
{
    g_autoptr(GPtrArray) results = g_ptr_array_new();

    g_ptr_array_add(results, (gpointer)result);
    return prometheus_text(results);
}

int result_outputs_write(const Options *options, const ProbeResult *result, int exit_status)
{
    bool written = write_file(options->html_path, options->html_path ? report_page(result) : NULL);

    written =
        write_file(options->prometheus_path, options->prometheus_path ? metrics(result) : NULL) &&
        written;
    if (options->nagios) {
        g_autofree char *line = nagios_line(result);
        printf("%s\n", line);
        exit_status = (int)nagios_status(result);
    }
    return exit_status == VERB_EXIT_OK && !written ? VERB_EXIT_ERROR : exit_status;
}
