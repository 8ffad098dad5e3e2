/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/timeline.h"

#include <glib.h>

/* Appends the timeline as an <svg> element, whose colours are those of the page's style sheet
 * (prober/report-page.h), and a list of what they mean. Pure. */
void draw_timeline(GString *page, const Timeline *timeline);
