/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/probe-error.h"

G_DEFINE_QUARK(probe - error - quark, probe_error)
