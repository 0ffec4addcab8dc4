/*
 * The registry of holds: add, renew, expire, release. Workers only ever see whole sets.
 *
 * A hold behind which sessions wait stays in the set when it ends, marked as released, until the
 * last of them has been resumed (park.c). Whoever comes meanwhile queues up behind them, for a
 * while: under a load that is more than the pace the queue would never end.
 */
#include "proxy/holds.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/park.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOOK_MS  20   /* between two looks whether all have been resumed */
#define QUEUE_MS 2000 /* how long newcomers queue up after a release, and for its ramp */

struct holds {
    struct server *server;
    struct hold_set *set;
    struct event *expiry;
    uint64_t last_id, last_release;
};

/* One change on its way to the workers. */
struct change {
    struct hold_set *set;
    holds_callback *done;
    void *arg;
};

/* Whether a hold is one of those that are to end. */
typedef bool pick(const struct hold *h, uint64_t which);

static void on_timer(evutil_socket_t fd, short what, void *arg);

struct holds *holds_create(struct server *server)
{
    struct holds *hs = memory_zalloc(sizeof(*hs));

    hs->server = server;
    hs->set = hold_set_create(0);
    hs->expiry = evtimer_new(server->base, on_timer, hs);
    return hs;
}

void holds_destroy(struct holds *hs)
{
    event_free(hs->expiry);
    hold_set_release(hs->set);
    free(hs);
}

const struct hold_set *holds_now(const struct holds *hs)
{
    return hs->set;
}

const struct hold *holds_find(const struct holds *hs, uint64_t id)
{
    const struct hold *h = hold_set_get(hs->set, id);

    return h && !h->released ? h : NULL;
}

bool holds_is_over(const struct hold *h)
{
    return h->released && atomic_load(&h->tally->parked) == 0;
}

size_t holds_count(const struct holds *hs)
{
    size_t n = 0;

    for (size_t i = 0; i < hs->set->n; i++)
        n += hs->set->items[i].released == 0;
    return n;
}

/* --- handing it to the workers ---------------------------------------------------------------- */

static void take_set(void *context, void *arg)
{
    struct worker *w = context;
    struct change *change = arg;

    hold_set_release(w->holds);
    w->holds = hold_set_borrow(change->set);
    park_review(w);
}

static void change_done(void *context, void *arg)
{
    struct change *change = arg;

    (void)context;
    if (change->done)
        change->done(change->arg);
    hold_set_release(change->set);
    free(change);
}

static void arm_timer(struct holds *hs)
{
    int64_t first = INT64_MAX, now = clock_ms();

    for (size_t i = 0; i < hs->set->n; i++) {
        const struct hold *h = &hs->set->items[i];
        int64_t at = h->released ? now + LOOK_MS : h->expires_ms;

        if (at < first)
            first = at;
    }
    event_del(hs->expiry);
    if (first == INT64_MAX)
        return;
    int64_t left = first > now ? first - now : 0;
    struct timeval tv = {left / 1000, (left % 1000) * 1000};

    event_add(hs->expiry, &tv);
}

/* The new set takes the old one's place, here and on every worker. Takes over one reference. What
   transactions touch is tracked from before a hold needs to know it. */
static void publish(struct holds *hs, struct hold_set *set, holds_callback *done, void *arg)
{
    struct change *change = memory_zalloc(sizeof(*change));

    hold_set_seal(set);
    if (set->in_transactions && !hs->set->in_transactions)
        atomic_fetch_add(&hs->server->tracking, 1);
    else if (!set->in_transactions && hs->set->in_transactions)
        atomic_fetch_sub(&hs->server->tracking, 1);
    hold_set_release(hs->set);
    hs->set = set;
    change->set = hold_set_borrow(set);
    change->done = done;
    change->arg = arg;
    arm_timer(hs);
    server_broadcast(hs->server, take_set, change_done, change);
}

static void log_hold(const char *event, const struct hold *h)
{
    char scope[HOLD_SCOPE_MAX], kinds[HOLD_KINDS_MAX];

    hold_format_scope(h, scope, sizeof(scope));
    hold_format_kinds(h, kinds, sizeof(kinds));
    log_info(event, "hold:u scope:s kinds:s owner:s reason:s age_ms:d parked:u", h->id, scope,
             kinds, h->owner, h->reason, clock_ms() - h->created_ms,
             (uint64_t)atomic_load(&h->tally->parked));
}

/* --- adding ----------------------------------------------------------------------------------- */

/* In place i of the set, which is empty or has the same hold. */
static struct hold *set_hold(struct holds *hs, struct hold_set *set, size_t i,
                             const struct hold *hold, int64_t ttl_ms)
{
    struct hold *h = &set->items[i], old = *h;

    *h = *hold;
    h->id = old.id ? old.id : ++hs->last_id;
    h->tally = old.id ? old.tally : hold_tally_create();
    h->created_ms = old.id ? old.created_ms : clock_ms();
    h->expires_ms = clock_ms() + ttl_ms;
    h->released = 0;
    h->leaving = false;
    return h;
}

uint64_t holds_add(struct holds *hs, const struct hold *hold, int64_t ttl_ms, holds_callback *done,
                   void *arg)
{
    struct hold_set *set = hold_set_create(hs->set->n + 1);
    size_t same = hs->set->n;

    for (size_t i = 0; i < hs->set->n; i++) {
        const struct hold *h = &hs->set->items[i];

        hold_set_put(set, i, h);
        if (!h->released && hold_is_same(h, hold))
            same = i;
    }
    if (same < hs->set->n)
        set->n--;
    const struct hold *h = set_hold(hs, set, same, hold, ttl_ms);
    uint64_t id = h->id;

    log_hold("hold_set", h);
    publish(hs, set, done, arg);
    return id;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* Ends the holds in force that `ends` picks; keeps those behind which somebody waits. */
static size_t end_holds(struct holds *hs, pick *ends, uint64_t which, const char *event,
                        holds_callback *done, void *arg)
{
    struct hold_set *set = hold_set_create(hs->set->n);
    size_t kept = 0, ended = 0;

    hs->last_release++;
    for (size_t i = 0; i < hs->set->n; i++) {
        const struct hold *h = &hs->set->items[i];
        bool now = !h->released && ends(h, which);

        if (now) {
            log_hold(event, h);
            ended++;
        }
        if (now && atomic_load(&h->tally->parked) == 0)
            continue;
        hold_set_put(set, kept, h);
        if (now) {
            set->items[kept].released = hs->last_release;
            set->items[kept].expires_ms = clock_ms();
        }
        kept++;
    }
    set->n = kept;
    publish(hs, set, done, arg);
    return ended;
}

static bool has_id(const struct hold *h, uint64_t id)
{
    return id == 0 || h->id == id;
}

static bool has_expired(const struct hold *h, uint64_t now)
{
    return h->expires_ms <= (int64_t)now;
}

static bool has_connection(const struct hold *h, uint64_t connection)
{
    return h->connection == connection;
}

size_t holds_remove(struct holds *hs, uint64_t id, holds_callback *done, void *arg)
{
    return end_holds(hs, has_id, id, "hold_released", done, arg);
}

static bool any(const struct holds *hs, pick *fn, uint64_t which)
{
    for (size_t i = 0; i < hs->set->n; i++) {
        if (!hs->set->items[i].released && fn(&hs->set->items[i], which))
            return true;
    }
    return false;
}

void holds_connection_gone(struct holds *hs, uint32_t connection)
{
    if (any(hs, has_connection, connection))
        end_holds(hs, has_connection, connection, "hold_owner_gone", NULL, NULL);
}

/* --- the end of a release --------------------------------------------------------------------- */

static bool queue_is_over(const struct holds *hs, const struct hold *h)
{
    int64_t ramp_ms = h->ramp_ms ? h->ramp_ms : hs->server->config->hold_release_ramp_ms;

    return clock_ms() - h->expires_ms > QUEUE_MS + ramp_ms;
}

/* Forgets the holds whose sessions have been resumed, and ends the queues of others. */
static void review_released(struct holds *hs)
{
    struct hold_set *set = hold_set_create(hs->set->n);
    size_t kept = 0;
    bool changed = false;

    for (size_t i = 0; i < hs->set->n; i++) {
        const struct hold *h = &hs->set->items[i];

        if (holds_is_over(h)) {
            changed = true;
            continue;
        }
        hold_set_put(set, kept, h);
        if (h->released && !h->leaving && queue_is_over(hs, h))
            set->items[kept].leaving = changed = true;
        kept++;
    }
    set->n = kept;
    if (changed)
        publish(hs, set, NULL, NULL);
    else
        hold_set_release(set);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct holds *hs = arg;

    (void)fd;
    (void)what;
    if (any(hs, has_expired, (uint64_t)clock_ms()))
        end_holds(hs, has_expired, (uint64_t)clock_ms(), "hold_expired", NULL, NULL);
    review_released(hs);
    arm_timer(hs);
}
