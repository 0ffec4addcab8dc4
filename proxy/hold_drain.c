/*
 * Counting what is in the way of a hold on every worker, over and over. See hold_drain.h.
 */
#include "proxy/hold_drain.h"
#include "planner/touched.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/fleet.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define LOOK_MS      10 /* between two counts */
#define LOOK_SLOW_MS 50 /* ... of a drain that takes longer than SLOW_MS */
#define SLOW_MS      2000

struct hold_drain {
    LIST_ENTRY(hold_drain) link; /* of server->drains */
    struct server *server;
    hold_drained *done; /* NULL: stopped, freed when the count under way is over */
    void *arg;
    uint64_t hold;
    int64_t started_ms, timeout_ms;
    struct event *timer;
    bool here;              /* the other shims of a fleet do not count */
    bool counting, counted; /* now; at least once, on every worker */
    size_t left;            /* as counted last */
    int64_t excess_ms;      /* likewise */
    pthread_mutex_t lock;   /* of what follows, while the workers count */
    struct hold what;       /* as it is now */
    struct hold_count count;
};

const char *obstacle_text(enum obstacle o)
{
    switch (o) {
    case OBSTACLE_TRANSACTION:
        return "open transaction";
    case OBSTACLE_OLD:
        return "open transaction, not known what it touched";
    case OBSTACLE_STATEMENT:
        return "statement under way";
    default:
        return "";
    }
}

static enum obstacle transaction_obstacle(const struct hold *h, const struct names *touched)
{
    if (!hold_is_touched(h, touched))
        return OBSTACLE_NONE;
    return touched && !touched->everything ? OBSTACLE_TRANSACTION : OBSTACLE_OLD;
}

/* Outside of a transaction nothing is kept of a statement that is older than the hold. Those of a
   hold of transactions only are not concerned by it at all. */
static enum obstacle statement_obstacle(const struct session *s, const struct hold *h,
                                        const struct names *touched)
{
    bool runs =
        s->state == SESSION_RESPONSE || s->state == SESSION_REQUEST || s->state == SESSION_INFILE;

    if (!runs || (!touched && h->kinds == HOLD_TRANSACTIONS))
        return OBSTACLE_NONE;
    return hold_is_touched(h, touched) ? OBSTACLE_STATEMENT : OBSTACLE_NONE;
}

enum obstacle hold_obstacle(const struct session *s, const struct hold *h)
{
    if (s->inner ||
        (h->scope == HOLD_VTGATE && (!s->vtgate || strcmp(vtgate_name(s->vtgate), h->vtgate) != 0)))
        return OBSTACLE_NONE;
    if (h->retries_pass && s->state == SESSION_RETRYING)
        return OBSTACLE_NONE;
    const struct names *touched = s->touched ? touched_names(s->touched) : NULL;

    if (s->status & STATUS_IN_TRANSACTION)
        return transaction_obstacle(h, touched);
    return statement_obstacle(s, h, touched);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void on_look(evutil_socket_t fd, short what, void *arg);

struct hold_drain *hold_drain_start(struct server *server, uint64_t hold, int64_t timeout_ms,
                                    hold_drained *done, void *arg)
{
    struct hold_drain *d = memory_zalloc(sizeof(*d));
    struct timeval now = {0, 0};

    d->server = server;
    d->done = done;
    d->arg = arg;
    d->hold = hold;
    d->started_ms = clock_ms();
    d->timeout_ms = timeout_ms;
    d->left = SIZE_MAX;
    d->timer = evtimer_new(server->base, on_look, d);
    pthread_mutex_init(&d->lock, NULL);
    LIST_INSERT_HEAD(&server->drains, d, link);
    event_add(d->timer, &now);
    return d;
}

static void drain_free(struct hold_drain *d)
{
    LIST_REMOVE(d, link);
    event_free(d->timer);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

struct hold_drain *hold_drain_here(struct server *server, uint64_t hold, hold_drained *done,
                                   void *arg)
{
    struct hold_drain *d = hold_drain_start(server, hold, INT64_MAX, done, arg);

    d->here = true;
    return d;
}

size_t hold_drain_left(const struct hold_drain *d, int64_t *excess_ms)
{
    *excess_ms = d->excess_ms;
    return d->left;
}

void hold_drain_stop(struct hold_drain *d)
{
    d->done = NULL;
    event_del(d->timer);
    if (!d->counting)
        drain_free(d);
}

void hold_drain_stop_all(struct server *server)
{
    while (!LIST_EMPTY(&server->drains))
        drain_free(LIST_FIRST(&server->drains));
}

static void drain_end(struct hold_drain *d, enum drain_end end)
{
    hold_drained *done = d->done;
    struct hold_count count = d->count;
    void *arg = d->arg;

    drain_free(d);
    done(arg, end, &count);
}

/*
 * A hold of some kinds lets statements of others, outside of transactions, go on: of all these only
 * those count that were under way at the first look. To wait for a moment without any would take
 * for ever on a busy table.
 */
static bool is_awaited(struct session *s, const struct hold_drain *d)
{
    enum obstacle o = hold_obstacle(s, &d->what);

    if (o != OBSTACLE_STATEMENT || hold_stops_statements(&d->what))
        return o != OBSTACLE_NONE;
    if (!d->counted)
        s->drained_by = d->hold;
    return s->drained_by == d->hold;
}

static void count(void *context, void *arg)
{
    struct worker *w = context;
    struct hold_drain *d = arg;
    struct session *s;

    pthread_mutex_lock(&d->lock);
    TAILQ_FOREACH(s, &w->sessions, link)
    {
        if (!is_awaited(s, d))
            continue;
        if (d->count.in_the_way < HOLD_NAMED_MAX)
            d->count.sessions[d->count.in_the_way] = s->id;
        d->count.in_the_way++;
    }
    d->count.excess_ms += slow_transactions_excess(&w->slow, &d->what, clock_ms());
    pthread_mutex_unlock(&d->lock);
}

static void on_counted(void *context, void *arg)
{
    struct hold_drain *d = arg;
    int64_t waited = clock_ms() - d->started_ms;
    struct timeval look = {0, (waited < SLOW_MS ? LOOK_MS : LOOK_SLOW_MS) * 1000};

    (void)context;
    d->counting = false;
    d->counted = true;
    d->left = d->count.in_the_way;
    d->count.elsewhere = d->here ? 0 : fleet_in_the_way(d->server, d->hold, &d->count.excess_ms);
    d->excess_ms = d->count.excess_ms;
    if (!d->done)
        drain_free(d);
    else if (d->server->stopped)
        return; /* nobody has counted: hold_drain_stop_all */
    else if (d->count.in_the_way + d->count.elsewhere == 0)
        drain_end(d, DRAIN_DONE);
    else if (waited >= d->timeout_ms)
        drain_end(d, DRAIN_TIMEOUT);
    else
        event_add(d->timer, &look);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct hold_drain *d = arg;
    const struct hold *h = holds_find(d->server->holds, d->hold);

    (void)fd;
    (void)what;
    if (d->server->stopped)
        return;
    d->count = (struct hold_count){.parked = h && h->tally ? atomic_load(&h->tally->parked) : 0};
    if (!h) {
        drain_end(d, DRAIN_GONE);
        return;
    }
    d->what = *h;
    d->what.tally = NULL; /* it is not kept */
    d->counting = true;
    server_broadcast(d->server, count, on_counted, d);
}
