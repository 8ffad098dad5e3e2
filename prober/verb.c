/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/verb.h"
#include "prober/render-json.h"
#include "prober/terminal-text.h"

#include <stdio.h>

void verb_complain(const char *text)
{
    g_autofree char *escaped = terminal_text_escape(text);

    fprintf(stderr, "quiesce-probe: %s\n", escaped);
}

void verb_complain_reported(const Options *options, const char *text)
{
    if (!options->reported)
        verb_complain(text);
}

int verb_fail(const char *verb, const Options *options, const GError *error)
{
    verb_complain_reported(options, error->message);
    if (options->json) {
        JsonWriter *writer = render_json_begin(verb, options->target);
        json_writer_string(writer, "error", error->message);
        render_json_end(writer);
    }
    return VERB_EXIT_ERROR;
}
