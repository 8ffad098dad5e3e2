/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/evidence-claim.h"

#include <inttypes.h>

typedef char *(*Contradiction)(const GuestWindow *window, const FreezeCoverage *coverage);

static char *freeze_failed(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (!window->freeze_error)
        return NULL;
    return g_strdup_printf("the freeze failed: %s", window->freeze_error);
}

static char *froze_nothing(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (!window->freeze_replied || window->frozen_count > 0)
        return NULL;
    return g_strdup_printf("the agent says that it froze %" PRId64 " filesystems",
                           window->frozen_count);
}

static char *status_was_other(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (!window->other_answer)
        return NULL;
    return g_strdup_printf("asked during the hold, the agent called itself %s",
                           window->other_answer);
}

static char *thaw_found_broken(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (window->thaw_tries > 1)
        return NULL;
    if (window->thaw_error)
        return g_strdup_printf("the thaw was answered: %s", window->thaw_error);
    if (!window->intact_known || window->intact)
        return NULL;
    return g_strdup_printf("the agent says that the window was broken: %s",
                           window->broken_reason ? window->broken_reason : "no reason given");
}

static char *thawed_fewer(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (!window->freeze_replied || !window->thaw_replied || window->thaw_tries > 1 ||
        window->thawed_count >= window->frozen_count)
        return NULL;
    return g_strdup_printf("the agent froze %" PRId64 " filesystems and thawed only %" PRId64
                           ": the others were not frozen any more",
                           window->frozen_count, window->thawed_count);
}

static char *reply_missing(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (!window->freeze_replied)
        return g_strdup("no usable reply to the freeze");
    if (window->frozen_answers == 0)
        return g_strdup("no status during the hold");
    if (!window->thaw_replied)
        return g_strdup("no usable reply to the thaw");
    if (window->thaw_tries > 1)
        return g_strdup_printf("the thaw had to be sent %u times, so that its answer does not tell "
                               "whether all was frozen until then",
                               window->thaw_tries);
    return NULL;
}

static char *left_out(const GuestWindow *window, const FreezeCoverage *coverage)
{
    if (coverage->uncovered == 0)
        return NULL;
    return g_strdup_printf(
        "the agent froze only %" PRId64 " filesystems where %u were expected%s%s",
        window->frozen_count, coverage->expected, coverage->uncovered_names ? "; not frozen: " : "",
        coverage->uncovered_names ? coverage->uncovered_names : "");
}

static char *describe_claim(const GuestWindow *window, const FreezeCoverage *coverage)
{
    g_autoptr(GString) text = g_string_new(NULL);

    g_string_append_printf(text, "froze %" PRId64, window->frozen_count);
    if (coverage->known && window->frozen_count == coverage->expected)
        g_string_append_printf(text, " of %u", coverage->expected);
    g_string_append_printf(text, " %s, frozen when asked (%u times), thawed %" PRId64,
                           window->frozen_count == 1 ? "filesystem" : "filesystems",
                           window->frozen_answers, window->thawed_count);
    if (window->intact_known)
        g_string_append(text, ", window intact");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *first_of(const Contradiction *table, size_t length, const GuestWindow *window,
                      const FreezeCoverage *coverage)
{
    for (size_t i = 0; i < length; i++) {
        char *text = table[i](window, coverage);
        if (text)
            return text;
    }
    return NULL;
}

Evidence *evidence_claim_judge(const GuestWindow *window, const FreezeCoverage *coverage)
{
    static const Contradiction against[] = {freeze_failed, froze_nothing, status_was_other,
                                            thaw_found_broken, thawed_fewer};
    static const Contradiction silent[] = {reply_missing, left_out};
    char *text = first_of(against, G_N_ELEMENTS(against), window, coverage);

    if (text)
        return evidence_new(EVIDENCE_CLAIM, EVIDENCE_AGAINST, text, NULL);
    text = first_of(silent, G_N_ELEMENTS(silent), window, coverage);
    if (text)
        return evidence_new(EVIDENCE_CLAIM, EVIDENCE_SILENT, text, NULL);
    return evidence_new(EVIDENCE_CLAIM, EVIDENCE_FOR, describe_claim(window, coverage), NULL);
}
