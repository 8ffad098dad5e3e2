/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/freeze-engine.h"

/* Holds the place of freeze-engine.c until it is written; nothing is ever frozen. */

struct FreezeEngine {
    FreezeState state;
};

FreezeEngine *freeze_engine_new(const Config *config, GError **error)
{
    return g_new0(FreezeEngine, 1);
}

void freeze_engine_free(FreezeEngine *engine)
{
    g_free(engine);
}

FreezeState freeze_engine_state(const FreezeEngine *engine)
{
    return engine->state;
}

int freeze_engine_recover(const Config *config)
{
    return 0;
}
