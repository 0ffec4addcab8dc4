/*
 * The queue of parked sessions of one worker and its timer. Nothing polls: the timer runs only
 * while somebody is parked, for time limits and for the pacing of a release.
 */
#include "proxy/park.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

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
    if (s->parked_tally)
        atomic_fetch_sub(&s->parked_tally->parked, 1);
    hold_tally_release(s->parked_tally);
    s->parked_tally = NULL;
    session_set_state(s, SESSION_IDLE);
}

/* The command in s->input is answered with an error and dropped; the connection stays. */
static void park_timed_out(struct session *s, const struct hold *h)
{
    char why[64];

    snprintf(why, sizeof(why), "waited %" PRId64 " ms",
             park_max_wait_ms(s->worker->server->config, h));
    metrics_add(&s->worker->metrics.park_timeouts, 1);
    park_leave(s);
    s->parked_us = 0;
    query_reject(s, SHIM_ERROR_HELD, (unsigned long long)h->id, h->reason, why);
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

/* Plans the command again: it goes on, or parks behind another hold, in the same place. */
static void park_resume(struct session *s, const struct hold *h)
{
    struct worker *w = s->worker;
    int64_t since = s->parked_us;

    w->park_round.next = TAILQ_NEXT(s, parked_link);
    if (h && h->released > s->served)
        s->served = h->released;
    park_leave(s);
    query_continue(s);
    w->park_round.next = NULL;
    if (s->state != SESSION_PARKED && s->state != SESSION_DEAD) {
        int64_t waited = clock_us() - since;

        metrics_add(&w->metrics.park_wait_us, (uint64_t)waited);
        histogram_note(&w->metrics.parked_for, waited);
        s->transaction_parked_ms += waited / 1000;
        s->parked_us = 0;
    }
}

/* --- the pace of a release -------------------------------------------------------------------- */

static void round_begin(struct worker *w, const struct hold *h)
{
    const struct session *s;
    size_t here = 0;

    TAILQ_FOREACH(s, &w->parked, parked_link)
    here += s->parked_by == h->id;
    uint64_t all = h->tally ? atomic_load(&h->tally->parked) : here;

    w->park_round = (struct park_round){
        .since_us = clock_us() - TICK_MS * 1000, /* a tick's worth goes at once */
        .share = all > here ? (double)here / (double)all : 1,
    };
}

/* Whether one more session may be resumed now. A hold's own rate is that of all workers; shares in
   it are as the queues are, so that they get shorter alike. */
static bool round_allows(struct worker *w, const struct hold *h)
{
    const struct config *c = w->server->config;
    struct park_round *round = &w->park_round;
    int64_t rate = h->rate ? h->rate : c->hold_release_rate;
    int64_t ramp_ms = h->ramp_ms ? h->ramp_ms : c->hold_release_ramp_ms;

    if (rate == 0)
        return true;
    if (round->since_us == 0)
        round_begin(w, h);
    double own = (double)rate * (h->rate ? round->share : 1);
    uint64_t allowed = hold_pace((int64_t)(own * 1000), ramp_ms, clock_us() - round->since_us);

    if (round->released > 0 && round->released >= allowed / 1000)
        return false;
    round->released++;
    return true;
}

/* What the session waits behind; NULL: that has ended. */
static const struct hold *parked_behind(const struct worker *w, const struct session *s)
{
    if (s->parked_by == HOLD_FENCE.id)
        return server_is_fenced(w->server) ? &HOLD_FENCE : NULL;
    return hold_set_get(w->holds, s->parked_by);
}

/* Every few milliseconds: who waited too long, who may go on? */
static void on_tick(void *arg)
{
    struct worker *w = arg;
    const struct config *c = w->server->config;
    int64_t now = clock_us();
    bool full = false, released = false;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&w->parked); s; s = next) {
        const struct hold *h = parked_behind(w, s);

        next = TAILQ_NEXT(s, parked_link);
        if (s->ask)
            continue; /* its locks are kept alive: in a moment */
        bool late = h && now - s->parked_us >= park_max_wait_ms(c, h) * 1000;

        if (h && !h->released) {
            if (late)
                park_timed_out(s, h);
            continue;
        }
        released = true;
        /* In order: the ones behind one that has to wait for its turn wait, too. */
        if (h && !late && !(s->status & STATUS_IN_TRANSACTION)) {
            full = full || !round_allows(w, h);
            if (full)
                continue;
        }
        park_resume(s, h);
    }
    if (!released)
        w->park_round.since_us = 0;
    park_arm(w);
}

void park_init(struct worker *w)
{
    TAILQ_INIT(&w->parked);
    loop_timer_init(&w->park_timer, &w->loop, on_tick, w);
}

int64_t park_max_wait_ms(const struct config *config, const struct hold *hold)
{
    return hold->max_wait_ms ? hold->max_wait_ms : config->hold_max_wait_ms;
}

/* Counts one more; false when there are too many. */
static bool park_count(struct worker *w, const struct hold *h)
{
    uint64_t limit = (uint64_t)w->server->config->hold_max_parked;

    if (atomic_fetch_add(&w->server->parked, 1) >= limit) {
        atomic_fetch_sub(&w->server->parked, 1);
        return false;
    }
    if (h->tally && atomic_fetch_add(&h->tally->parked, 1) >= h->max_parked && h->max_parked) {
        atomic_fetch_sub(&h->tally->parked, 1);
        atomic_fetch_sub(&w->server->parked, 1);
        return false;
    }
    return true;
}

bool park_session(struct session *s, const struct hold *hold)
{
    struct worker *w = s->worker;

    if (!park_count(w, hold))
        return false;
    s->parked_tally = hold_tally_borrow(hold->tally);
    if (w->park_round.next && s->parked_us)
        TAILQ_INSERT_BEFORE(w->park_round.next, s, parked_link);
    else
        TAILQ_INSERT_TAIL(&w->parked, s, parked_link);
    if (!s->parked_us)
        s->parked_us = clock_us();
    s->parked_by = hold->id;
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
