/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/progress.h"
#include "prober/terminal-text.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SHOW_EVERY_US (100 * 1000)
#define COLUMNS_UNKNOWN 80
#define CLEAR_LINE "\r\033[K"

struct Progress {
    bool visible; /* standard error is a terminal that can clear a line */
    bool shown;
    const char *format; /* of what is shown: another one is news, and does not wait */
    int64_t shown_at_us;
};

Progress *progress_new(void)
{
    Progress *progress = g_new0(Progress, 1);
    const char *terminal = g_getenv("TERM");

    progress->visible = isatty(STDERR_FILENO) && terminal && g_strcmp0(terminal, "dumb") != 0;
    return progress;
}

void progress_free(Progress *progress)
{
    progress_clear(progress);
    g_free(progress);
}

/* A line that wraps could not be taken back. */
static glong columns(void)
{
    struct winsize size = {0};

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2)
        return COLUMNS_UNKNOWN - 1;
    return size.ws_col - 1;
}

void progress_show(Progress *progress, const char *format, ...)
{
    va_list arguments;

    if (!progress || !progress->visible)
        return;
    int64_t now_us = g_get_monotonic_time();
    if (progress->shown && progress->format == format &&
        now_us - progress->shown_at_us < SHOW_EVERY_US)
        return;

    va_start(arguments, format);
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *escaped = terminal_text_escape(text);
    g_autofree char *cut = g_utf8_substring(escaped, 0, MIN(g_utf8_strlen(escaped, -1), columns()));
    fprintf(stderr, CLEAR_LINE "%s", cut);
    fflush(stderr);
    progress->shown = true;
    progress->format = format;
    progress->shown_at_us = now_us;
}

void progress_clear(Progress *progress)
{
    if (!progress || !progress->shown)
        return;
    fputs(CLEAR_LINE, stderr);
    fflush(stderr);
    progress->shown = false;
}
