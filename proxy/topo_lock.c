/*
 * The holds of each lock that tells of a change of who serves: one of its keyspace, or one for each
 * table that moves. Of a workflow's lock there is a record for each table, so that each goes on
 * when the vtgates show that it is served where it goes to.
 */
#include "proxy/topo_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/topo_brake.h"
#include "proxy/topo_moving.h"
#include "proxy/vtgate_watch.h"

#define LOCKS_MAX  64 /* that are held at a time; of more, the oldest is let go */
#define TABLES_MAX 16 /* that are held one by one; of more, their keyspace is */
#define MOVING_MAX 8  /* the same of a workflow, each in two keyspaces */

/*
 * What they are taken for, from Vitess's go/vt/vtctl/workflow/server.go, go/vt/vtctl/reparentutil
 * and go/vt/vtorc/logic/topology_recovery.go. Reads are retried in any case, and so is what a
 * tablet has refused outside of a transaction. A workflow's lock comes some hundred milliseconds
 * before those of the keyspaces: time for open transactions to end.
 */
static const struct action {
    const char *begin; /* of what the lock says */
    unsigned kinds;    /* what is held */
    bool may_narrow;   /* tables may move, not all of the keyspace */
    bool of_workflow;  /* a workflow's lock, not a keyspace's or shard's */
} ACTIONS[] = {
    {"WorkflowSwitchTraffic", HOLD_TRANSACTIONS, false, true},
    {"SwitchWrites", HOLD_TRANSACTIONS, true, false},
    {"PlannedReparentShard", HOLD_TRANSACTIONS | HOLD_WRITES, false, false},
    {"EmergencyReparentShard", HOLD_TRANSACTIONS | HOLD_WRITES, false, false},
    {"VTOrc Recovery for DeadPrimary", HOLD_TRANSACTIONS | HOLD_WRITES, false, false},
};

struct held {
    TAILQ_ENTRY(held) link;
    struct hold like; /* its holds are so, but for the table */
    int64_t until_ms; /* when they end by themselves */
    bool may_narrow;
    bool braked;
    struct topo_moving moving; /* of a workflow to like.keyspace; from "": of none */
    bool from_locked;          /* moving.from is, and like.keyspace not yet */
    uint64_t holds[TABLES_MAX];
    size_t n;
    size_t len;
    char key[]; /* of the lock; len bytes */
};

struct topo_locks {
    struct server *server;
    TAILQ_HEAD(helds, held) list; /* newest first */
    size_t n;
    struct vtgate_watch_subscriber subscriber;
    struct event *rules; /* a vtgate has new rules */
    struct topo_brakes *brakes;
};

static void forget(struct topo_locks *ls, struct held *h)
{
    TAILQ_REMOVE(&ls->list, h, link);
    ls->n--;
    free(h);
}

/* Whether a record still has that hold: two locks of one place and kind share theirs. */
static bool is_wanted(const struct topo_locks *ls, uint64_t hold)
{
    const struct held *h;
    int64_t now = clock_ms();

    TAILQ_FOREACH(h, &ls->list, link)
    {
        for (size_t i = 0; now < h->until_ms && i < h->n; i++) {
            if (h->holds[i] == hold)
                return true;
        }
    }
    return false;
}

/* The record that had them must not have them any more. */
static void release(struct topo_locks *ls, const uint64_t *holds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_wanted(ls, holds[i]) && holds_find(ls->server->holds, holds[i]))
            holds_remove(ls->server->holds, holds[i], NULL, NULL);
    }
}

static void release_all(struct topo_locks *ls, struct held *h)
{
    size_t n = h->n;

    h->n = 0;
    release(ls, h->holds, n);
}

static void let_go(struct topo_locks *ls, struct held *h)
{
    release_all(ls, h);
    forget(ls, h);
}

/* Those whose end was not heard of have ended by their time. */
static void prune(struct topo_locks *ls)
{
    struct held *h, *next;

    for (h = TAILQ_FIRST(&ls->list); h; h = next) {
        next = TAILQ_NEXT(h, link);
        if (clock_ms() >= h->until_ms)
            forget(ls, h);
    }
    while (ls->n >= LOCKS_MAX)
        let_go(ls, TAILQ_LAST(&ls->list, helds));
}

static struct held *find(struct topo_locks *ls, const struct topo_event *e)
{
    struct held *h;

    TAILQ_FOREACH(h, &ls->list, link)
    {
        if (h->len == e->len && memcmp(h->key, e->key, e->len) == 0)
            return h;
    }
    return NULL;
}

/* Whether a transition of this shim, or of its fleet, holds something of that keyspace. */
static bool is_our_doing(const struct topo_locks *ls, const char *keyspace)
{
    const struct hold_set *set = holds_now(ls->server->holds);

    for (size_t i = 0; i < set->n; i++) {
        const struct hold *h = &set->items[i];

        if (!h->released && strncmp(h->owner, "transition ", strlen("transition ")) == 0 &&
            (h->scope == HOLD_ALL || strcmp(h->keyspace, keyspace) == 0))
            return true;
    }
    return false;
}

static void add_in(struct topo_locks *ls, struct held *h, const char *keyspace, const char *table)
{
    struct hold one = h->like;

    snprintf(one.keyspace, sizeof(one.keyspace), "%s", keyspace);
    one.scope = *table ? HOLD_TABLE : HOLD_KEYSPACE;
    snprintf(one.table, sizeof(one.table), "%s", table);
    h->holds[h->n++] = holds_add(ls->server->holds, &one, h->until_ms - clock_ms(), NULL, NULL);
}

static void add(struct topo_locks *ls, struct held *h, const char *table)
{
    add_in(ls, h, h->like.keyspace, table);
}

/* A record without a hold yet. */
static struct held *note_lock(struct topo_locks *ls, const struct topo_event *e,
                              const struct topo_lock *lock, const struct action *action)
{
    bool deeper = *lock->shard || *lock->workflow;
    const struct config *c = ls->server->config;
    struct held *h = memory_zalloc(sizeof(*h) + e->len);

    h->like = (struct hold){.kinds = action->kinds, .retries_pass = true};
    snprintf(h->like.keyspace, sizeof(h->like.keyspace), "%s", lock->keyspace);
    snprintf(h->like.owner, sizeof(h->like.owner), "lock of %s%s%s%s", lock->keyspace,
             deeper ? "/" : "", lock->shard, lock->workflow);
    snprintf(h->like.reason, sizeof(h->like.reason), "%s", lock->action);
    h->like.max_wait_ms = c->hold_max_wait_ms; /* the hold ends before anybody waits too long */
    if (h->like.max_wait_ms < 2 * c->topo_lock_hold_ms)
        h->like.max_wait_ms = 2 * c->topo_lock_hold_ms;
    h->until_ms = clock_ms() + c->topo_lock_hold_ms;
    h->may_narrow = action->may_narrow;
    h->len = e->len;
    memcpy(h->key, e->key, e->len);
    TAILQ_INSERT_HEAD(&ls->list, h, link);
    ls->n++;
    return h;
}

/* --- tables that move ------------------------------------------------------------------------ */

/* vtctld takes the lock of the keyspace that serves now before it stops writes there. */
static void brake(struct topo_locks *ls, const struct topo_event *e, const char *from)
{
    const char *root_end = memmem(e->key, e->len, "/internal/", strlen("/internal/"));
    struct topo_brake *b = NULL;
    struct held *h;

    TAILQ_FOREACH(h, &ls->list, link)
    {
        if (h->braked || h->len != e->len || memcmp(h->key, e->key, e->len) != 0 ||
            strcmp(h->moving.from, from) != 0)
            continue;
        if (!b)
            b = topo_brake_create(ls->brakes, e->key, (size_t)(root_end - e->key), from);
        if (!b)
            return;
        h->braked = true;
        for (size_t i = 0; i < h->n; i++)
            topo_brake_add(b, h->holds[i]);
    }
    topo_brake_go(b);
}

/* In both keyspaces: rules lead from the one to the other. Without a rule (a Reshard, or rules that
   are not known) what is held is left to the keyspaces' locks. */
static void hold_moving(struct topo_locks *ls, const struct topo_event *e,
                        const struct topo_lock *lock, const struct action *action)
{
    struct topo_moving moving[MOVING_MAX];
    size_t n = topo_moving_read(vtgate_watch_routing(ls->server->watch), lock->keyspace, moving,
                                MOVING_MAX);

    for (size_t i = 0; i < n; i++) {
        struct held *h = note_lock(ls, e, lock, action);

        h->moving = moving[i];
        add(ls, h, moving[i].table);
        add_in(ls, h, moving[i].from, moving[i].table);
    }
    for (size_t i = 0; i < n; i++)
        brake(ls, e, moving[i].from);
}

/* Whether that keyspace's lock is taken for tables that move. vtctld locks the keyspace that serves
   before the one that they go to (switchWrites in server.go); of a Reshard, in whose keyspace other
   workflows' tables may be about to arrive, it locks that keyspace alone. */
static bool is_of_moving(struct held *h, const char *keyspace)
{
    bool serves = strcmp(h->moving.from, keyspace) == 0;
    bool is_next = h->from_locked && strcmp(h->like.keyspace, keyspace) == 0;

    if (!serves && !is_next)
        return false;
    h->from_locked = serves;
    return true;
}

/* The lock of one of its two keyspaces comes after the workflow's, which may have been a while ago:
   what is held for that goes on, and from now on for as long again. False: there is nothing. */
static bool renew(struct topo_locks *ls, const char *keyspace)
{
    int64_t now = clock_ms(), ms = ls->server->config->topo_lock_hold_ms;
    bool found = false;
    struct held *h;

    TAILQ_FOREACH(h, &ls->list, link)
    {
        if (!*h->moving.from || now >= h->until_ms || !is_of_moving(h, keyspace))
            continue;
        found = true;
        if (h->n == 0)
            continue; /* it is where it goes to */
        h->until_ms = now + ms;
        h->n = 0;
        add(ls, h, h->moving.table); /* the same, which are renewed */
        add_in(ls, h, h->moving.from, h->moving.table);
    }
    return found;
}

/* Those that every vtgate sends to where they go to are through, whatever vtctld does yet. */
static void on_rules(evutil_socket_t fd, short what, void *arg)
{
    struct topo_locks *ls = arg;
    struct held *h, *next;

    (void)fd;
    (void)what;
    for (h = TAILQ_FIRST(&ls->list); h && !ls->server->stopped; h = next) {
        next = TAILQ_NEXT(h, link);
        if (*h->moving.table && h->n > 0 &&
            vtgate_watch_shows_route(ls->server->watch, h->moving.from, h->like.keyspace,
                                     h->moving.table) == VTGATES_SHOW) {
            log_info("topo_table_moved", "keyspace:s table:s from:s", h->like.keyspace,
                     h->moving.table, h->moving.from);
            release_all(ls, h);
        }
    }
}

/* It is asked about when this vtgate's rules are in place. */
static void on_change(void *arg, size_t vtgate, enum vtgate_change change, const char *ks,
                      const json_t *tables)
{
    struct topo_locks *ls = arg;

    (void)vtgate;
    (void)ks;
    (void)tables;
    if (change == VTGATE_CHANGE_RULES && !TAILQ_EMPTY(&ls->list))
        event_active(ls->rules, EV_TIMEOUT, 0);
}

/* --- tables that are denied ------------------------------------------------------------------ */

/* From its keyspace to these tables: what waits there goes on, or waits behind a table. */
static void narrow(struct topo_locks *ls, struct held *h, const struct topo_denied *denied)
{
    uint64_t wide = h->holds[0];

    h->n = 0;
    h->may_narrow = false;
    for (size_t i = 0; i < denied->n; i++)
        add(ls, h, denied->tables[i]);
    release(ls, &wide, 1);
}

/* Whether tables of that keyspace may be about to move. */
static bool is_switched(const struct topo_locks *ls, const char *keyspace)
{
    const struct held *h;

    TAILQ_FOREACH(h, &ls->list, link)
    {
        if (h->may_narrow && strcmp(h->like.keyspace, keyspace) == 0)
            return true;
    }
    return false;
}

/* Tables of one keyspace are denied: they move between all that are locked for it, two as a rule.
 */
static void narrow_all(struct topo_locks *ls, const struct topo_denied *denied)
{
    struct held *h;

    if (denied->n == 0 || denied->n > TABLES_MAX || !is_switched(ls, denied->keyspace))
        return;
    TAILQ_FOREACH(h, &ls->list, link)
    {
        if (h->may_narrow && clock_ms() < h->until_ms)
            narrow(ls, h, denied);
    }
}

static void note_denied(struct topo_locks *ls, const struct topo_event *e)
{
    struct topo_denied *denied = TAILQ_EMPTY(&ls->list) ? NULL : topo_denied_read(e);

    if (denied)
        narrow_all(ls, denied);
    topo_denied_free(denied);
}

/* --- locks ----------------------------------------------------------------------------------- */

/* NULL: nothing that is held. */
static const struct action *find_action(const struct topo_lock *lock)
{
    for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(*ACTIONS); i++) {
        if (ACTIONS[i].of_workflow == (*lock->workflow != '\0') &&
            strncmp(lock->action, ACTIONS[i].begin, strlen(ACTIONS[i].begin)) == 0)
            return &ACTIONS[i];
    }
    return NULL;
}

void topo_locks_note(struct topo_locks *ls, const struct topo_event *e)
{
    struct topo_lock lock;
    struct held *h;

    if (!topo_lock_read(e, &lock)) {
        note_denied(ls, e);
        return;
    }
    if (e->deleted) {
        while ((h = find(ls, e)) != NULL)
            let_go(ls, h);
        return;
    }
    const struct action *action = find_action(&lock);

    if (!action || ls->server->config->topo_lock_hold_ms == 0 || find(ls, e) ||
        is_our_doing(ls, lock.keyspace))
        return;
    prune(ls);
    if (action->may_narrow)
        topo_brakes_note(ls->brakes, lock.keyspace, e->revision);
    if (action->of_workflow)
        hold_moving(ls, e, &lock, action);
    else if (!action->may_narrow || !renew(ls, lock.keyspace))
        add(ls, note_lock(ls, e, &lock, action), "");
}

struct topo_locks *topo_locks_create(struct server *server, struct topo_watch *watch)
{
    struct topo_locks *ls = memory_zalloc(sizeof(*ls));

    ls->server = server;
    ls->brakes = topo_brakes_create(server, watch);
    TAILQ_INIT(&ls->list);
    ls->rules = evtimer_new(server->base, on_rules, ls);
    ls->subscriber = (struct vtgate_watch_subscriber){.changed = on_change, .arg = ls};
    vtgate_watch_subscribe(server->watch, &ls->subscriber);
    return ls;
}

void topo_locks_stop(struct topo_locks *ls)
{
    topo_brakes_stop(ls->brakes);
    event_del(ls->rules);
}

void topo_locks_destroy(struct topo_locks *ls)
{
    while (!TAILQ_EMPTY(&ls->list))
        forget(ls, TAILQ_FIRST(&ls->list));
    event_free(ls->rules);
    topo_brakes_destroy(ls->brakes);
    free(ls);
}
