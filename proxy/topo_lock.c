/*
 * The holds of each lock that tells of a change of who serves: one of its keyspace, or one for each
 * table that moves.
 */
#include "proxy/topo_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define LOCKS_MAX  64 /* that are held at a time; of more, the oldest is let go */
#define TABLES_MAX 16 /* that are held one by one; of more, their keyspace is */

/*
 * What they are taken for, from Vitess's go/vt/vtctl/workflow/server.go, go/vt/vtctl/reparentutil
 * and go/vt/vtorc/logic/topology_recovery.go. Reads are retried in any case, and so is what a
 * tablet has refused outside of a transaction.
 */
static const struct action {
    const char *begin; /* of what the lock says */
    unsigned kinds;    /* what is held */
    bool may_narrow;   /* tables may move, not all of the keyspace */
} ACTIONS[] = {
    {"SwitchWrites", HOLD_TRANSACTIONS, true},
    {"PlannedReparentShard", HOLD_TRANSACTIONS | HOLD_WRITES, false},
    {"EmergencyReparentShard", HOLD_TRANSACTIONS | HOLD_WRITES, false},
    {"VTOrc Recovery for DeadPrimary", HOLD_TRANSACTIONS | HOLD_WRITES, false},
};

struct held {
    TAILQ_ENTRY(held) link;
    struct hold like; /* its holds are so, but for the table */
    int64_t until_ms; /* when they end by themselves */
    bool may_narrow;
    uint64_t holds[TABLES_MAX];
    size_t n;
    size_t len;
    char key[]; /* of the lock; len bytes */
};

struct topo_locks {
    struct server *server;
    TAILQ_HEAD(helds, held) list; /* newest first */
    size_t n;
};

static void forget(struct topo_locks *ls, struct held *h)
{
    TAILQ_REMOVE(&ls->list, h, link);
    ls->n--;
    free(h);
}

static void release(struct topo_locks *ls, const uint64_t *holds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (holds_find(ls->server->holds, holds[i]))
            holds_remove(ls->server->holds, holds[i], NULL, NULL);
    }
}

static void let_go(struct topo_locks *ls, struct held *h)
{
    release(ls, h->holds, h->n);
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

static void add(struct topo_locks *ls, struct held *h, const char *table)
{
    struct hold one = h->like;

    one.scope = *table ? HOLD_TABLE : HOLD_KEYSPACE;
    snprintf(one.table, sizeof(one.table), "%s", table);
    h->holds[h->n++] = holds_add(ls->server->holds, &one, h->until_ms - clock_ms(), NULL, NULL);
}

static void hold(struct topo_locks *ls, const struct topo_event *e, const struct topo_lock *lock,
                 const struct action *action)
{
    const struct config *c = ls->server->config;
    struct held *h = memory_zalloc(sizeof(*h) + e->len);

    h->like = (struct hold){.kinds = action->kinds, .retries_pass = true};
    snprintf(h->like.keyspace, sizeof(h->like.keyspace), "%s", lock->keyspace);
    snprintf(h->like.owner, sizeof(h->like.owner), "lock of %s%s%s", lock->keyspace,
             *lock->shard ? "/" : "", lock->shard);
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
    add(ls, h, "");
}

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

/* NULL: nothing that is held. */
static const struct action *find_action(const char *text)
{
    for (size_t i = 0; i < sizeof(ACTIONS) / sizeof(*ACTIONS); i++) {
        if (strncmp(text, ACTIONS[i].begin, strlen(ACTIONS[i].begin)) == 0)
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
        h = find(ls, e);
        if (h)
            let_go(ls, h);
        return;
    }
    const struct action *action = find_action(lock.action);

    if (!action || ls->server->config->topo_lock_hold_ms == 0 || find(ls, e) ||
        is_our_doing(ls, lock.keyspace))
        return;
    prune(ls);
    hold(ls, e, &lock, action);
}

struct topo_locks *topo_locks_create(struct server *server)
{
    struct topo_locks *ls = memory_zalloc(sizeof(*ls));

    ls->server = server;
    TAILQ_INIT(&ls->list);
    return ls;
}

void topo_locks_destroy(struct topo_locks *ls)
{
    while (!TAILQ_EMPTY(&ls->list))
        forget(ls, TAILQ_FIRST(&ls->list));
    free(ls);
}
