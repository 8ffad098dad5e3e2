/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prober/evidence.h"
#include "prober/freeze-coverage.h"
#include "prober/guest-window.h"

/*
 * The agent's own word: what it answered to freeze, status and thaw. For, when it says that it
 * froze all that was wanted, still said so during the hold, and thawed as many as it froze. Pure.
 */
Evidence *evidence_claim_judge(const GuestWindow *window, const FreezeCoverage *coverage);
