/*
 * Draining the transactions that have touched a table: a hold of transactions, and hold_drain.c.
 * The control loop sets it, waits, and tells the session how it went. Statements outside of
 * transactions pass, for vttablet buffers them itself.
 */
#include "proxy/cutover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/changes.h"
#include "proxy/fleet.h"
#include "proxy/hold_drain.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

_Static_assert(HOLD_NAMED_MAX <= MIGRATION_BLOCKERS_MAX, "all that are named have room");

#define HOLD_TTL_MS 60000 /* should all else fail; the session ends it much sooner */

struct cutover {
    LIST_ENTRY(cutover) link; /* of server->cutovers; the control loop's */
    struct server *server;
    struct worker *worker; /* of the session */
    uint64_t session, migration;
    char keyspace[65], table[65];
    uint64_t hold, change;
    struct migration_blockers in_the_way;
};

static void cutover_free(struct cutover *c)
{
    LIST_REMOVE(c, link);
    free(c);
}

/* --- the end --------------------------------------------------------------------------------- */

static void on_released(void *arg)
{
    cutover_free(arg);
}

static void release(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;

    changes_end(server->changes, c->change, server->config->ddl_visible_ms);
    holds_remove(server->holds, c->hold, on_released, c);
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

static void on_drained(void *arg, enum drain_end end, const struct hold_count *count)
{
    struct cutover *c = arg;

    for (size_t i = 0; i < count->in_the_way && i < HOLD_NAMED_MAX; i++)
        c->in_the_way.sessions[i] = count->sessions[i];
    /* Without its hold nothing has been drained: it is put off, too. */
    c->in_the_way.n = end == DRAIN_GONE ? 1 : (uint32_t)(count->in_the_way + count->elsewhere);
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

static void begin(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;
    struct hold h = {.scope = HOLD_TABLE, .kinds = HOLD_TRANSACTIONS};

    struct change what = {.kind = CHANGE_SCHEMA, .source = CHANGE_OWN};

    LIST_INSERT_HEAD(&server->cutovers, c, link);
    snprintf(what.keyspace, sizeof(what.keyspace), "%s", c->keyspace);
    change_add_table(&what, c->table, strlen(c->table));
    c->change = changes_begin(server->changes, &what);
    snprintf(h.keyspace, sizeof(h.keyspace), "%s", c->keyspace);
    snprintf(h.table, sizeof(h.table), "%s", c->table);
    snprintf(h.owner, sizeof(h.owner), "migration %llu", (unsigned long long)c->migration);
    snprintf(h.reason, sizeof(h.reason), "cut-over of migration %llu",
             (unsigned long long)c->migration);
    c->hold = fleet_hold(server, &h, HOLD_TTL_MS, false, on_held, c);
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

void cutover_stop_all(struct server *server)
{
    while (!LIST_EMPTY(&server->cutovers))
        cutover_free(LIST_FIRST(&server->cutovers));
}
