/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prober/status-poll.h"
#include "prober/guest-freeze.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ASK_EVERY_MS 1000
#define ASK_LATER_MS 3000 /* after a question that nobody answered */

struct StatusPoll {
    AgentLink *link;
    const AgentProfile *profile;
    bool shared;
    int stop_fd;
    GThread *thread;
    GMutex lock; /* of what follows */
    GArray *answers;
    bool frozen;
};

static bool wait_for_stop(const StatusPoll *poll_, int wait_ms)
{
    struct pollfd fd = {.fd = poll_->stop_fd, .events = POLLIN};

    return poll(&fd, 1, wait_ms) != 0;
}

static bool ask(StatusPoll *poll_)
{
    StatusAnswer answer = {.asked_us = g_get_monotonic_time()};
    g_autofree char *state = guest_freeze_status(poll_->link, poll_->profile, NULL);

    answer.answered_us = g_get_monotonic_time();
    if (!poll_->shared)
        agent_link_disconnect(poll_->link);
    if (!state)
        return false;
    answer.frozen = strcmp(state, "thawed") != 0;
    g_mutex_lock(&poll_->lock);
    poll_->frozen = answer.frozen;
    if (poll_->answers->len < STATUS_POLL_MAX_ANSWERS)
        g_array_append_val(poll_->answers, answer);
    g_mutex_unlock(&poll_->lock);
    return true;
}

static gpointer run(gpointer data)
{
    StatusPoll *poll_ = data;

    while (!wait_for_stop(poll_, ask(poll_) ? ASK_EVERY_MS : ASK_LATER_MS))
        ;
    return NULL;
}

StatusPoll *status_poll_start(AgentLink *link, const AgentProfile *profile, bool shared)
{
    StatusPoll *poll_ = g_new0(StatusPoll, 1);

    poll_->link = link;
    poll_->profile = profile;
    poll_->shared = shared;
    poll_->stop_fd = eventfd(0, EFD_CLOEXEC);
    poll_->answers = g_array_new(FALSE, FALSE, sizeof(StatusAnswer));
    g_mutex_init(&poll_->lock);
    agent_link_set_interrupt_fd(link, poll_->stop_fd);
    poll_->thread = g_thread_new("status-poll", run, poll_);
    return poll_;
}

bool status_poll_is_frozen(StatusPoll *poll_)
{
    g_mutex_lock(&poll_->lock);
    bool frozen = poll_->frozen;
    g_mutex_unlock(&poll_->lock);
    return frozen;
}

GArray *status_poll_stop(StatusPoll *poll_)
{
    GArray *answers = poll_->answers;

    eventfd_write(poll_->stop_fd, 1);
    g_thread_join(poll_->thread);
    close(poll_->stop_fd);
    agent_link_free(poll_->link);
    g_mutex_clear(&poll_->lock);
    g_free(poll_);
    return answers;
}
