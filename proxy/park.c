/*
 * The queue of parked sessions of one worker and its timer. Nothing polls: the timer runs only
 * while somebody is parked, for time limits and for the pacing of a release.
 */
#include "proxy/park.h"

#include <stdatomic.h>

#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define TICK_MS 10 /* resolution of time limits and of the pace */

static void park_arm(struct worker *w)
{
    if (!TAILQ_EMPTY(&w->parked) && !loop_timer_is_set(&w->park_timer))
        loop_timer_set(&w->park_timer, TICK_MS);
}

static void park_leave(struct session *s)
{
    struct worker *w = s->worker;

    TAILQ_REMOVE(&w->parked, s, parked_link);
    metrics_add(&w->metrics.holds_parked, (uint64_t)-1);
    atomic_fetch_sub(&w->server->parked, 1);
    session_set_state(s, SESSION_IDLE);
}

/* The command in s->input is answered with an error and dropped; the connection stays. */
static void park_timed_out(struct session *s)
{
    const struct config *c = s->worker->server->config;
    const char *reason = "released";

    for (size_t i = 0; i < s->worker->holds->n; i++) {
        if (s->worker->holds->items[i].id == s->parked_by)
            reason = s->worker->holds->items[i].reason;
    }
    metrics_add(&s->worker->metrics.park_timeouts, 1);
    park_leave(s);
    s->parked_us = 0;
    query_reject(s, SHIM_ERROR_HOLD_TIMEOUT, (unsigned long long)s->parked_by, reason,
                 (long long)c->hold_max_wait_ms);
}

void park_interrupt(struct session *s)
{
    park_leave(s);
    s->parked_us = 0;
    query_reject(s, SHIM_ERROR_INTERRUPTED, "", "");
}

void park_shut_down(struct session *s)
{
    uint8_t sequence = (uint8_t)(s->input.data[3] + 1);

    park_leave(s);
    if (session_send_error(s, sequence, SHIM_ERROR_SHUTDOWN))
        session_close(s, CLOSE_SHUTDOWN);
}

/* Plans the command again: it goes on, or parks behind another hold without losing its age. */
static void park_resume(struct session *s)
{
    int64_t since = s->parked_us;

    park_leave(s);
    query_continue(s);
    if (s->state != SESSION_PARKED && s->state != SESSION_DEAD) {
        metrics_add(&s->worker->metrics.park_wait_us, (uint64_t)(clock_us() - since));
        s->parked_us = 0;
    }
}

static bool hold_exists(const struct hold_set *holds, uint64_t id)
{
    for (size_t i = 0; i < holds->n; i++) {
        if (holds->items[i].id == id)
            return true;
    }
    return false;
}

static void on_tick(void *arg)
{
    struct worker *w = arg;
    const struct config *c = w->server->config;
    int64_t deadline = clock_us() - c->hold_max_wait_ms * 1000;
    int64_t budget = c->hold_release_rate ? c->hold_release_rate * TICK_MS / 1000 : INT64_MAX;
    struct session *s, *next;

    if (budget == 0)
        budget = 1;
    for (s = TAILQ_FIRST(&w->parked); s; s = next) {
        next = TAILQ_NEXT(s, parked_link);
        if (s->ask)
            continue; /* its locks are kept alive: in a moment */
        if (!hold_exists(w->holds, s->parked_by)) {
            if (budget-- <= 0)
                break; /* in order: the ones behind wait for their turn */
            park_resume(s);
        } else if (s->parked_us <= deadline) {
            park_timed_out(s);
        }
    }
    park_arm(w);
}

void park_init(struct worker *w)
{
    TAILQ_INIT(&w->parked);
    loop_timer_init(&w->park_timer, &w->loop, on_tick, w);
}

bool park_session(struct session *s, const struct hold *hold)
{
    struct worker *w = s->worker;
    uint64_t limit = (uint64_t)w->server->config->hold_max_parked;

    if (atomic_fetch_add(&w->server->parked, 1) >= limit) {
        atomic_fetch_sub(&w->server->parked, 1);
        return false;
    }
    if (!s->parked_us)
        s->parked_us = clock_us();
    s->parked_by = hold->id;
    TAILQ_INSERT_TAIL(&w->parked, s, parked_link);
    metrics_add(&w->metrics.parks, 1);
    metrics_add(&w->metrics.holds_parked, 1);
    session_set_state(s, SESSION_PARKED);
    park_arm(w);
    return true;
}

void park_review(struct worker *w)
{
    if (!TAILQ_EMPTY(&w->parked))
        loop_timer_set(&w->park_timer, 0);
}

void park_forget(struct session *s)
{
    if (s->state == SESSION_PARKED)
        park_leave(s);
}
