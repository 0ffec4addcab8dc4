/*
 * Draining the transactions that have touched a table: a hold of transactions, and hold_drain.c.
 * The control loop sets it, waits, and tells the session how it went. Statements outside of
 * transactions pass, for vttablet buffers them itself.
 */
#include "proxy/cutover.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/changes.h"
#include "proxy/cut_shards.h"
#include "proxy/fleet.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

_Static_assert(HOLD_NAMED_MAX <= MIGRATION_BLOCKERS_MAX, "all that are named have room");

#define DRAINED_MS 60000 /* for what comes then; the session ends the hold much sooner */

struct cutover {
    LIST_ENTRY(cutover) link; /* of server->cutovers; the control loop's */
    struct server *server;
    struct worker *worker; /* of the session */
    uint64_t session, migration;
    char keyspace[65], table[65];
    uint64_t hold, change; /* hold 0: there is none, in the gap */
    int64_t began_ms;
    struct migration_blockers in_the_way;
    bool liftable; /* once it has been drained */
    int64_t gap_ms;
    struct event *gap;             /* until the hold is set again, or NULL */
    struct hold_drain *late;       /* ... and it has been; or NULL */
    bool setting, ended, released; /* the hold is being set again; it is to end; it has */
};

static void cutover_free(struct cutover *c)
{
    LIST_REMOVE(c, link);
    if (c->gap)
        event_free(c->gap);
    free(c);
}

/* --- the end --------------------------------------------------------------------------------- */

static void on_released(void *arg)
{
    struct cutover *c = arg;

    c->released = true;
    if (!c->setting)
        cutover_free(c);
}

static void release(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;

    changes_end(server->changes, c->change, server->config->ddl_visible_ms);
    c->ended = true;
    if (c->gap)
        event_del(c->gap);
    if (c->late)
        hold_drain_stop(c->late);
    c->late = NULL;
    if (c->hold)
        holds_remove(server->holds, c->hold, on_released, c);
    else
        on_released(c);
}

void cutover_end(struct cutover *c)
{
    mailbox_post(&c->server->mailbox, release, c->server, c);
}

/* --- on the session's worker ----------------------------------------------------------------- */

static void tell_session(void *context, void *arg)
{
    struct worker *w = context;
    struct cutover *c = arg;
    struct session *s;

    TAILQ_FOREACH(s, &w->sessions, link)
    {
        if (s->id == c->session && s->migration && s->migration->record.id == c->migration) {
            migration_drained(s, c, &c->in_the_way);
            return;
        }
    }
    cutover_end(c); /* nobody waits for it any more */
}

/* --- draining -------------------------------------------------------------------------------- */

/* All that were counted, here and elsewhere: more than fit must not become none. */
static struct migration_blockers blockers_of(const struct hold_count *count)
{
    size_t n = count->in_the_way + count->elsewhere;
    struct migration_blockers blockers = {.n = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX};

    for (size_t i = 0; i < count->in_the_way && i < HOLD_NAMED_MAX; i++)
        blockers.sessions[i] = count->sessions[i];
    return blockers;
}

static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct cutover *c = arg;

    c->in_the_way = blockers_of(count);
    /* Without its hold, here or on the others, nothing has been drained: it is put off, too. */
    if (end == DRAIN_GONE || (end == DRAIN_DONE && !fleet_hold_stands(c->server, c->hold)))
        c->in_the_way.n = 1;
    c->liftable = cut_shards_gap_is_safe(count->excess_ms,
                                         c->server->fleet ? c->server->config->fleet_poll_ms : 0);
    log_info("ddl_drained", "migration:u ms:d in_the_way:u slow_ms:d liftable:u", c->migration,
             clock_ms() - c->began_ms, (uint64_t)c->in_the_way.n, count->excess_ms,
             (uint64_t)c->liftable);
    if (!c->server->stopped)
        mailbox_post(&c->worker->mailbox, tell_session, c->worker, c);
}

/* An error: the other shims of a fleet have not all answered. It is put off. */
static void on_held(void *arg, uint64_t id, const char *error)
{
    static const struct hold_count NOTHING;
    struct cutover *c = arg;

    (void)id;
    if (error)
        on_drained(c, DRAIN_GONE, &NOTHING);
    else if (!c->server->stopped)
        hold_drain_start(c->server, c->hold, c->server->config->ddl_drain_ms, on_drained, c);
}

static void hold(struct cutover *c, fleet_held *done)
{
    struct hold h = {.scope = HOLD_TABLE, .kinds = HOLD_TRANSACTIONS};

    snprintf(h.keyspace, sizeof(h.keyspace), "%s", c->keyspace);
    snprintf(h.table, sizeof(h.table), "%s", c->table);
    snprintf(h.owner, sizeof(h.owner), "migration %llu", (unsigned long long)c->migration);
    snprintf(h.reason, sizeof(h.reason), "cut-over of migration %llu",
             (unsigned long long)c->migration);
    int64_t ttl_ms = c->server->config->ddl_drain_ms + DRAINED_MS; /* should all else fail */

    c->hold = fleet_hold(c->server, &h, ttl_ms, false, done, c);
}

static void begin(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;
    struct change what = {.kind = CHANGE_SCHEMA, .source = CHANGE_OWN};

    LIST_INSERT_HEAD(&server->cutovers, c, link);
    c->began_ms = clock_ms();
    snprintf(what.keyspace, sizeof(what.keyspace), "%s", c->keyspace);
    change_add_table(&what, c->table, strlen(c->table));
    c->change = changes_begin(server->changes, &what);
    hold(c, on_held);
}

void cutover_start(struct session *s, uint64_t migration_id, const char *keyspace,
                   const char *table)
{
    struct cutover *c = memory_zalloc(sizeof(*c));

    c->server = s->worker->server;
    c->worker = s->worker;
    c->session = s->id;
    c->migration = migration_id;
    snprintf(c->keyspace, sizeof(c->keyspace), "%s", keyspace);
    snprintf(c->table, sizeof(c->table), "%s", table);
    mailbox_post(&c->server->mailbox, begin, c->server, c);
}

/* --- the gap --------------------------------------------------------------------------------- */

bool cutover_is_liftable(const struct cutover *c)
{
    return c->liftable;
}

/* Transactions that began in the gap have not ended: vttablet will be waiting for them. */
static void on_late(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct cutover *c = arg;
    struct migration_blockers blockers = blockers_of(count);
    char sessions[104];

    c->late = NULL;
    if (end != DRAIN_TIMEOUT)
        return;
    migration_blockers_format(&blockers, sessions, sizeof(sessions));
    log_warn("ddl_gap_late", "migration:u in_the_way:u sessions:s", c->migration,
             (uint64_t)blockers.n, sessions);
}

/* With an error, which the fleet gives, vttablet cuts over all the same: it will wait for
   transactions that no hold stops. */
static void on_held_again(void *arg, uint64_t id, const char *error)
{
    struct cutover *c = arg;

    (void)id;
    c->setting = false;
    if (error && !c->ended)
        log_warn("ddl_gap_unheld", "migration:u error:s", c->migration, error);
    else if (!c->ended && !c->server->stopped)
        c->late = hold_drain_start(c->server, c->hold, CUT_GAP_LEAD_MS, on_late, c);
    if (c->released)
        cutover_free(c);
}

static void on_gap_over(evutil_socket_t fd, short what, void *arg)
{
    struct cutover *c = arg;

    (void)fd;
    (void)what;
    c->setting = true;
    hold(c, on_held_again);
}

static void lift(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;
    struct timeval gap = {c->gap_ms / 1000, c->gap_ms % 1000 * 1000};

    c->gap = evtimer_new(server->base, on_gap_over, c);
    event_add(c->gap, &gap);
    holds_remove(server->holds, c->hold, NULL, NULL);
    c->hold = 0;
}

void cutover_lift(struct cutover *c, int64_t ms)
{
    c->gap_ms = ms;
    mailbox_post(&c->server->mailbox, lift, c->server, c);
}

void cutover_stop_all(struct server *server)
{
    while (!LIST_EMPTY(&server->cutovers))
        cutover_free(LIST_FIRST(&server->cutovers));
}
