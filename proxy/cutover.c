/*
 * Draining the transactions that have touched a table. The control loop sets the hold, counts what
 * is still in the way on every worker, over and over, and tells the session how it went.
 */
#include "proxy/cutover.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "proxy/holds.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/migration_internal.h"
#include "proxy/server.h"
#include "proxy/worker.h"

#define LOOK_MS     10    /* between two counts */
#define HOLD_TTL_MS 60000 /* should all else fail; the session ends it much sooner */

struct cutover {
    LIST_ENTRY(cutover) link; /* of server->cutovers; the control loop's, as all but counting */
    struct server *server;
    struct worker *worker; /* of the session */
    uint64_t session, migration;
    char keyspace[65], table[65];
    uint64_t hold;
    int64_t started_ms;
    struct event *timer;
    pthread_mutex_t lock; /* of what follows, while the workers count */
    size_t in_the_way;
    uint64_t example; /* a session in the way */
};

static void cutover_free(struct cutover *c)
{
    LIST_REMOVE(c, link);
    event_free(c->timer);
    pthread_mutex_destroy(&c->lock);
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
            migration_drained(s, c, c->in_the_way, c->example);
            return;
        }
    }
    cutover_end(c); /* nobody waits for it any more */
}

/* --- draining -------------------------------------------------------------------------------- */

/* Open transactions, and statements under way, that have mentioned the table. */
static bool is_in_the_way(const struct session *s, const char *table)
{
    if (!(s->status & STATUS_IN_TRANSACTION) && s->state != SESSION_RESPONSE)
        return false;
    if (s->touched)
        return names_may_contain(s->touched, table, strlen(table));
    return s->status & STATUS_IN_TRANSACTION; /* older than the tracking */
}

static void count(void *context, void *arg)
{
    struct worker *w = context;
    struct cutover *c = arg;
    struct session *s;

    pthread_mutex_lock(&c->lock);
    TAILQ_FOREACH(s, &w->sessions, link)
    {
        if (!is_in_the_way(s, c->table))
            continue;
        c->in_the_way++;
        c->example = s->id;
    }
    pthread_mutex_unlock(&c->lock);
}

static void on_counted(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;
    struct timeval look = {0, LOOK_MS * 1000};
    bool late = clock_ms() - c->started_ms > server->config->ddl_drain_ms;

    if (c->in_the_way > 0 && !late) {
        event_add(c->timer, &look);
        return;
    }
    if (!server->stopped)
        mailbox_post(&c->worker->mailbox, tell_session, c->worker, c);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct cutover *c = arg;

    (void)fd;
    (void)what;
    c->in_the_way = 0;
    server_broadcast(c->server, count, on_counted, c);
}

static void on_held(void *arg)
{
    on_look(-1, 0, arg);
}

static void begin(void *context, void *arg)
{
    struct server *server = context;
    struct cutover *c = arg;
    struct hold h = {.scope = HOLD_TABLE, .cutover = true};

    LIST_INSERT_HEAD(&server->cutovers, c, link);
    c->timer = evtimer_new(server->base, on_look, c);
    c->started_ms = clock_ms();
    snprintf(h.keyspace, sizeof(h.keyspace), "%s", c->keyspace);
    snprintf(h.table, sizeof(h.table), "%s", c->table);
    snprintf(h.owner, sizeof(h.owner), "migration %llu", (unsigned long long)c->migration);
    snprintf(h.reason, sizeof(h.reason), "cut-over of migration %llu",
             (unsigned long long)c->migration);
    c->hold = holds_add(server->holds, &h, HOLD_TTL_MS, on_held, c);
}

void cutover_start(struct session *s, uint64_t migration_id, const char *keyspace,
                   const char *table)
{
    struct cutover *c = memory_zalloc(sizeof(*c));

    c->server = s->worker->server;
    c->worker = s->worker;
    c->session = s->id;
    c->migration = migration_id;
    pthread_mutex_init(&c->lock, NULL);
    snprintf(c->keyspace, sizeof(c->keyspace), "%s", keyspace);
    snprintf(c->table, sizeof(c->table), "%s", table);
    mailbox_post(&c->server->mailbox, begin, c->server, c);
}

void cutover_stop_all(struct server *server)
{
    while (!LIST_EMPTY(&server->cutovers))
        cutover_free(LIST_FIRST(&server->cutovers));
}
