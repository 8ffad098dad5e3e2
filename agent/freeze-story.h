/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "agent/freeze-window.h"

/*
 * A freeze window told to the log, so that an operator needs no source: which filesystems, in which
 * order, how long each took, what was left out and why, who thawed and when. Lines carry the times
 * at which things happened, not those at which the daemon heard of them.
 */
void freeze_story_log_plan(const FreezeWindow *window);
/* Also of a freeze that failed: what had been frozen by then, and what was not. */
void freeze_story_log_freeze(const FreezeWindow *window);
void freeze_story_log_thaw(const FreezeWindow *window);
