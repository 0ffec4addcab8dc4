/*
 * What holds have to do with sessions: SHOW HOLD (who is in the way, who waits) and EXPLAIN HOLD
 * (whom it would concern). The workers are asked, each on its own thread.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_commands.h"
#include "proxy/admin_values.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/park.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/statements.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS_MAX     1000 /* of SHOW HOLD, of each role */

/* --- SHOW HOLD -------------------------------------------------------------------------------- */

struct listing {
    struct admin_request *rq;
    struct hold hold;
    pthread_mutex_t lock; /* of what follows */
    struct admin_table *table;
    size_t in_the_way, parked;
};

static void listing_row(struct listing *l, const struct session *s, const char *role,
                        const char *why, int64_t since_ms)
{
    struct admin_values vs = {.n = 0};

    admin_table_row(l->table, (const char *const[]){
                                  admin_number(&vs, (int64_t)s->id),
                                  role,
                                  why,
                                  s->user,
                                  s->peer,
                                  s->database,
                                  s->vtgate ? vtgate_name(s->vtgate) : NULL,
                                  session_state_name(s->state),
                                  s->status & STATUS_IN_TRANSACTION ? "yes" : "no",
                                  since_ms ? admin_seconds(&vs, clock_ms() - since_ms) : NULL,
                              });
}

static void collect_session(struct listing *l, const struct session *s)
{
    enum obstacle o = l->hold.released ? OBSTACLE_NONE : hold_obstacle(s, &l->hold);
    bool parked = s->parked_tally && s->parked_by == l->hold.id;
    int64_t idle_ms =
        s->state == SESSION_IDLE && s->commands == s->swept_commands ? s->since_ms : 0;

    if (o != OBSTACLE_NONE && l->in_the_way++ < ROWS_MAX)
        listing_row(l, s, "in the way", obstacle_text(o), idle_ms);
    if (parked && l->parked++ < ROWS_MAX)
        listing_row(l, s, "parked", "waits behind the hold", s->parked_us / 1000);
}

static void collect_listing(void *context, void *arg)
{
    struct worker *w = context;
    struct listing *l = arg;
    const struct session *s;

    pthread_mutex_lock(&l->lock);
    TAILQ_FOREACH(s, &w->sessions, link)
    collect_session(l, s);
    pthread_mutex_unlock(&l->lock);
}

static void listing_collected(void *context, void *arg)
{
    struct listing *l = arg;

    (void)context;
    admin_reply_table(l->rq, l->table);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void admin_show_hold(struct admin_request *rq, struct lexer *lx)
{
    static const char *const NAMES[] = {"Session", "Role",   "Why",   "User",           "Client",
                                        "Target",  "Vtgate", "State", "In_transaction", "Seconds"};
    struct admin_error error;
    uint64_t id;

    if (!admin_parse_hold_id(lx, &id, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    const struct hold *h = hold_set_get(holds_now(rq->server->holds), id);

    if (!h || holds_is_over(h)) {
        admin_reply_error(rq, 1094, "HY000", "Unknown hold id: %" PRIu64, id);
        return;
    }
    struct listing *l = memory_zalloc(sizeof(*l));

    l->rq = rq;
    l->hold = *h;
    l->hold.tally = NULL; /* it is not kept */
    pthread_mutex_init(&l->lock, NULL);
    l->table = admin_table_create(NAMES, COUNT(NAMES));
    server_broadcast(rq->server, collect_listing, listing_collected, l);
}

/* --- EXPLAIN HOLD ----------------------------------------------------------------------------- */

struct preview {
    struct admin_request *rq;
    struct admin_hold what;
    uint64_t same; /* the hold in force that HOLD would renew; 0: none */
    _Atomic uint64_t sessions, matching, in_transaction, running, prepared;
};

static bool is_live(const struct session *s)
{
    return !s->inner && s->state != SESSION_LOGIN && s->state != SESSION_CLOSING &&
           s->state != SESSION_DEAD;
}

/* Whether its statements may be such as the hold stops. */
static bool is_concerned(const struct session *s, const struct hold *h)
{
    switch (h->scope) {
    case HOLD_ALL:
        return true;
    case HOLD_VTGATE:
        return s->vtgate && strcmp(vtgate_name(s->vtgate), h->vtgate) == 0;
    default:
        return hold_may_be_target(h, s->database);
    }
}

/* Whether the hold would stop that prepared statement in that session, now and outside of a
   transaction. */
struct prepared_question {
    const struct session *s;
    struct hold_set *set;
    bool found;
};

static void ask_prepared(void *arg, const struct prepared *p)
{
    struct prepared_question *q = arg;
    const struct hold_subject subject = {
        .kind = p->kind,
        .database = q->s->database,
        .vtgate = q->s->vtgate ? vtgate_name(q->s->vtgate) : NULL,
        .names = &p->names,
        .autocommit = q->s->status & STATUS_AUTOCOMMIT,
    };

    q->found = q->found || hold_set_find(q->set, &subject);
}

static bool has_prepared(const struct session *s, struct hold_set *set)
{
    struct prepared_question q = {.s = s, .set = set};

    if (s->statements)
        statements_each(s->statements, ask_prepared, &q);
    return q.found;
}

static void preview_session(struct preview *p, const struct session *s, struct hold_set *set)
{
    bool runs =
        s->state != SESSION_IDLE && s->state != SESSION_PARKED && s->state != SESSION_RETRYING;
    bool in_transaction = s->status & STATUS_IN_TRANSACTION;

    atomic_fetch_add(&p->sessions, 1);
    if (has_prepared(s, set))
        atomic_fetch_add(&p->prepared, 1);
    if (!is_concerned(s, &p->what.hold))
        return;
    atomic_fetch_add(&p->matching, 1);
    if (in_transaction)
        atomic_fetch_add(&p->in_transaction, 1);
    else if (runs)
        atomic_fetch_add(&p->running, 1);
}

static void collect_preview(void *context, void *arg)
{
    struct worker *w = context;
    struct preview *p = arg;
    struct hold_set *set = hold_set_create(1);
    const struct session *s;

    hold_set_put(set, 0, &p->what.hold);
    TAILQ_FOREACH(s, &w->sessions, link)
    {
        if (is_live(s))
            preview_session(p, s, set);
    }
    hold_set_release(set);
}

static void preview_collected(void *context, void *arg)
{
    static const char *const NAMES[] = {"Scope",          "Kinds",      "Sessions", "Matching",
                                        "In_transaction", "Running",    "Prepared", "Expires_in_s",
                                        "Max_wait_s",     "Max_parked", "Renews"};
    struct preview *p = arg;
    const struct hold *h = &p->what.hold;
    const struct config *c = p->rq->server->config;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    struct admin_values vs = {.n = 0};
    char scope[HOLD_SCOPE_MAX], kinds[HOLD_KINDS_MAX];

    (void)context;
    hold_format_scope(h, scope, sizeof(scope));
    hold_format_kinds(h, kinds, sizeof(kinds));
    admin_table_row(
        t, (const char *const[]){
               scope,
               kinds,
               admin_number(&vs, (int64_t)atomic_load(&p->sessions)),
               admin_number(&vs, (int64_t)atomic_load(&p->matching)),
               admin_number(&vs, (int64_t)atomic_load(&p->in_transaction)),
               admin_number(&vs, (int64_t)atomic_load(&p->running)),
               admin_number(&vs, (int64_t)atomic_load(&p->prepared)),
               admin_number(&vs, p->what.seconds),
               admin_seconds(&vs, park_max_wait_ms(c, h)),
               admin_number(&vs, h->max_parked ? (int64_t)h->max_parked : c->hold_max_parked),
               admin_number_or_null(&vs, (int64_t)p->same, p->same > 0),
           });
    admin_reply_table(p->rq, t);
    free(p);
}

void admin_explain_hold(struct admin_request *rq, struct lexer *lx)
{
    const struct hold_set *now = holds_now(rq->server->holds);
    struct admin_hold h;

    if (!admin_read_hold(rq, lx, &h))
        return;
    struct preview *p = memory_zalloc(sizeof(*p));

    p->rq = rq;
    p->what = h;
    for (size_t i = 0; i < now->n; i++) {
        if (!now->items[i].released && hold_is_same(&now->items[i], &h.hold))
            p->same = now->items[i].id;
    }
    server_broadcast(rq->server, collect_preview, preview_collected, p);
}
