/*
 * The list, on the control loop, and the immutable copy of it that workers read. A copy that was
 * replaced is freed when every worker has begun a new turn; how often that happens is limited, for
 * errors may come in storms.
 */
#include "proxy/changes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "planner/target.h"
#include "protocol/bytes.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/retry.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"
#include "proxy/worker.h"

#define KEPT_MAX    64    /* changes in the list */
#define KEPT_MS     60000 /* an ended one */
#define PUBLISH_MS  10    /* from copy to copy, at least */
#define LOOK_MS     200   /* from look to look while one settles */
#define SUSPECT_MS  50    /* from suspicion to suspicion of a worker, at least */
#define ERROR_FIELD 9     /* bytes before the text: 0xFF, code, '#', state */

struct entry {
    TAILQ_ENTRY(entry) link;
    struct change t;
    bool settles;     /* its owner is done with it, or it has none: it ends when vtgates agree */
    int64_t until_ms; /* ... or then; 0: no limit, it has an owner */
};

struct changes {
    struct server *server;
    _Atomic(struct change_set *) now;
    _Atomic uint64_t last_id;
    TAILQ_HEAD(entries, entry) list; /* newest first */
    size_t n;
    struct event *publish, *settle;
    int64_t published_ms;
    struct vtgate_look look;
    struct vtgate_watch_subscriber subscriber;
    bool listening;
    uint64_t noticed[CHANGE_KIND_COUNT][CHANGE_SOURCE_COUNT];
};

const struct change_set *changes_now(const struct changes *t)
{
    return atomic_load_explicit(&((struct changes *)(uintptr_t)t)->now, memory_order_acquire);
}

uint64_t changes_noticed(const struct changes *t, enum change_kind kind, enum change_source source)
{
    return t->noticed[kind][source];
}

/* --- the copy for others --------------------------------------------------------------------- */

static struct change_set *copy(const struct changes *t)
{
    struct change_set *set = memory_zalloc(sizeof(*set) + t->n * sizeof(set->items[0]));
    const struct entry *e;

    TAILQ_FOREACH(e, &t->list, link)
    {
        set->items[set->n++] = e->t;
        if (e->t.ended_ms == 0)
            set->last_ms = INT64_MAX;
        else if (e->t.ended_ms > set->last_ms)
            set->last_ms = e->t.ended_ms;
    }
    return set;
}

static void come_by(void *context, void *arg)
{
    (void)context;
    (void)arg;
}

static void all_came_by(void *context, void *arg)
{
    (void)context;
    free(arg);
}

static void publish(struct changes *t)
{
    struct change_set *old = atomic_exchange(&t->now, copy(t));

    t->published_ms = clock_ms();
    server_broadcast(t->server, come_by, all_came_by, old);
}

static void on_publish(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    publish(arg);
}

static void publish_soon(struct changes *t)
{
    static const struct timeval PAUSE = {0, PUBLISH_MS * 1000};

    if (clock_ms() - t->published_ms >= PUBLISH_MS)
        publish(t);
    else if (!evtimer_pending(t->publish, NULL))
        evtimer_add(t->publish, &PAUSE);
}

/* --- the list -------------------------------------------------------------------------------- */

static void drop(struct changes *t, struct entry *e)
{
    TAILQ_REMOVE(&t->list, e, link);
    t->n--;
    free(e);
}

/* Forgets old ones, and of the rest as many as are too many: ended ones first. */
static void prune(struct changes *t)
{
    int64_t now = clock_ms();
    struct entry *e, *next;

    for (e = TAILQ_FIRST(&t->list); e; e = next) {
        next = TAILQ_NEXT(e, link);
        if (e->t.ended_ms && now - e->t.ended_ms > KEPT_MS)
            drop(t, e);
    }
    while (t->n > KEPT_MAX) {
        e = TAILQ_LAST(&t->list, entries);
        while (e && !e->t.ended_ms)
            e = TAILQ_PREV(e, entries, link);
        drop(t, e ? e : TAILQ_LAST(&t->list, entries));
    }
}

static void log_one(const struct change *t, const char *event)
{
    static const char *const KINDS[] = CHANGE_KINDS;
    static const char *const SOURCES[] = CHANGE_SOURCES;

    log_info(event, "id:u kind:s source:s keyspace:s tables:u age_ms:d", t->id, KINDS[t->kind],
             SOURCES[t->source], *t->keyspace ? t->keyspace : NULL, (uint64_t)t->table_count,
             clock_ms() - t->since_ms);
}

static struct entry *add(struct changes *t, const struct change *what)
{
    struct entry *e = memory_zalloc(sizeof(*e));

    /* An error may be a mistake in a statement, no more. */
    if (what->source != CHANGE_ERROR && what->kind != CHANGE_SCHEMA)
        retry_suspect(t->server);
    e->t = *what;
    e->t.since_ms = clock_ms();
    e->t.ended_ms = 0;
    e->t.times = 1;
    t->noticed[what->kind][what->source]++;
    TAILQ_INSERT_HEAD(&t->list, e, link);
    t->n++;
    prune(t);
    log_one(&e->t, "change_begins");
    return e;
}

static void end(struct entry *e)
{
    e->t.ended_ms = clock_ms();
    log_one(&e->t, "change_ends");
}

/* --- settling -------------------------------------------------------------------------------- */

/* Whether all vtgates that are up show the same of what the change is about; unknown ones do
   not count. */
static bool agree(const struct changes *t, const struct change *what)
{
    const struct vtgate_view *first = NULL;
    struct server *server = t->server;

    for (size_t i = 0; i < vtgates_count(server->vtgates); i++) {
        const struct vtgate_view *v = vtgate_watch_view(server->watch, i);

        if (!v->reachable || !*v->digest || !vtgate_is_healthy(vtgates_at(server->vtgates, i)))
            continue;
        if (!first)
            first = v;
        if (what->kind != CHANGE_SCHEMA && strcmp(v->digest, first->digest) != 0)
            return false;
        for (size_t k = 0; what->kind == CHANGE_SCHEMA && k < v->keyspace_count; k++) {
            if (k >= first->keyspace_count ||
                strcmp(v->keyspaces[k].columns, first->keyspaces[k].columns) != 0)
                return false;
        }
    }
    return true;
}

static bool any_settles(const struct changes *t)
{
    const struct entry *e;

    TAILQ_FOREACH(e, &t->list, link)
    {
        if (e->settles && !e->t.ended_ms)
            return true;
    }
    return false;
}

static void settle_in(struct changes *t, int64_t ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    evtimer_add(t->settle, &tv);
}

/* All vtgates have been looked at. */
static void on_looked(void *arg)
{
    struct changes *t = arg;
    bool web = vtgate_watch_configured(t->server->watch);
    int64_t now = clock_ms();
    struct entry *e;

    TAILQ_FOREACH(e, &t->list, link)
    {
        if (e->settles && !e->t.ended_ms && (now >= e->until_ms || (web && agree(t, &e->t))))
            end(e);
    }
    publish_soon(t);
    if (any_settles(t))
        settle_in(t, LOOK_MS);
}

static void on_settle(evutil_socket_t fd, short what, void *arg)
{
    struct changes *t = arg;

    (void)fd;
    (void)what;
    if (t->look.number == 0 && !t->server->stopped)
        vtgate_watch_glance(t->server->watch, &t->look, on_looked, t);
}

static void let_settle(struct changes *t, struct entry *e, int64_t limit_ms)
{
    e->settles = true;
    e->until_ms = clock_ms() + limit_ms;
    settle_in(t, 0);
}

/* --- from other threads ---------------------------------------------------------------------- */

enum request_kind { REQUEST_BEGIN, REQUEST_END, REQUEST_NOTICE, REQUEST_SETTLE };

struct request {
    enum request_kind kind;
    struct change what; /* END: the id */
    int64_t settle_ms;
};

static struct entry *find(struct changes *t, uint64_t id)
{
    struct entry *e;

    TAILQ_FOREACH(e, &t->list, link)
    {
        if (e->t.id == id)
            return e;
    }
    return NULL;
}

static bool same(const struct change *a, const struct change *b)
{
    return a->kind == b->kind && a->source == b->source && strcmp(a->keyspace, b->keyspace) == 0 &&
           a->table_count == b->table_count && memcmp(a->tables, b->tables, sizeof(a->tables)) == 0;
}

/* Of the same that is still under way, or ended a moment ago, there is one. */
static void notice(struct changes *t, const struct change *what, bool settles)
{
    int64_t now = clock_ms();
    struct entry *e;

    TAILQ_FOREACH(e, &t->list, link)
    {
        if (same(&e->t, what) && (!e->t.ended_ms || now - e->t.ended_ms < 1000))
            break;
    }
    if (e) {
        e->t.times++;
        t->noticed[what->kind][what->source]++;
        if (e->t.ended_ms)
            e->t.ended_ms = settles ? 0 : now;
    } else {
        e = add(t, what);
        if (!settles)
            end(e);
    }
    if (settles)
        let_settle(t, e, CHANGE_LIMIT_MS);
}

static void end_of(struct changes *t, uint64_t id, int64_t settle_ms)
{
    struct entry *e = find(t, id);

    if (!e || e->t.ended_ms)
        return;
    bool web = vtgate_watch_configured(t->server->watch);

    let_settle(t, e, web ? CHANGE_LIMIT_MS : settle_ms);
    if (!web)
        settle_in(t, settle_ms);
}

static void on_request(void *context, void *arg)
{
    struct changes *t = context;
    struct request *rq = arg;

    if (!t->server->stopped) {
        switch (rq->kind) {
        case REQUEST_BEGIN:
            add(t, &rq->what);
            break;
        case REQUEST_END:
            end_of(t, rq->what.id, rq->settle_ms);
            break;
        case REQUEST_NOTICE:
        case REQUEST_SETTLE:
            notice(t, &rq->what, rq->kind == REQUEST_SETTLE);
            break;
        }
        publish_soon(t);
    }
    free(rq);
}

static void post(struct changes *t, enum request_kind kind, const struct change *what,
                 int64_t settle_ms)
{
    struct request *rq = memory_zalloc(sizeof(*rq));

    *rq = (struct request){kind, *what, settle_ms};
    mailbox_post(&t->server->mailbox, on_request, t, rq);
}

uint64_t changes_begin(struct changes *t, const struct change *what)
{
    struct change own = *what;

    own.id = atomic_fetch_add(&t->last_id, 1) + 1;
    post(t, REQUEST_BEGIN, &own, 0);
    return own.id;
}

void changes_end(struct changes *t, uint64_t id, int64_t settle_ms)
{
    struct change only_id = {.id = id};

    post(t, REQUEST_END, &only_id, settle_ms);
}

void changes_notice(struct changes *t, const struct change *what, bool settles)
{
    struct change own = *what;

    own.id = atomic_fetch_add(&t->last_id, 1) + 1;
    post(t, settles ? REQUEST_SETTLE : REQUEST_NOTICE, &own, 0);
}

/* --- what tells of them ---------------------------------------------------------------------- */

/* A vtgate shows something new. */
static void on_change(void *arg, size_t vtgate, enum vtgate_change change, const char *ks,
                      const json_t *tables)
{
    static const enum change_kind KINDS[] = {
        [VTGATE_CHANGE_VSCHEMA] = CHANGE_VSCHEMA,
        [VTGATE_CHANGE_RULES] = CHANGE_RULES,
        [VTGATE_CHANGE_COLUMNS] = CHANGE_SCHEMA,
    };
    struct change what = {.kind = KINDS[change], .source = CHANGE_VTGATE};
    json_t *table;
    size_t i;

    (void)vtgate;
    if (ks && strlen(ks) < sizeof(what.keyspace))
        memcpy(what.keyspace, ks, strlen(ks) + 1);
    json_array_foreach(tables, i, table)
    {
        change_add_table(&what, json_string_value(table), json_string_length(table));
    }
    changes_notice(arg, &what, true);
}

void changes_listen(struct changes *t)
{
    t->subscriber.changed = on_change;
    t->subscriber.arg = t;
    vtgate_watch_subscribe(t->server->watch, &t->subscriber);
    t->listening = true;
}

/* Not on the fast path: only after an error. */
void changes_note_error(struct session *s, const uint8_t *p, size_t len)
{
    struct change what = {.source = CHANGE_ERROR};
    int64_t now = clock_ms();

    if (len <= ERROR_FIELD || p[0] != 0xFF || now - s->worker->suspected_ms < SUSPECT_MS ||
        !change_suspected((uint16_t)load_u16(p + 1), (const char *)p + ERROR_FIELD,
                          len - ERROR_FIELD, &what.kind))
        return;
    struct sql_name keyspace = target_keyspace(s->database);

    if (keyspace.len < sizeof(what.keyspace))
        memcpy(what.keyspace, keyspace.text, keyspace.len);
    s->worker->suspected_ms = now;
    changes_notice(s->worker->server->changes, &what, false);
}

/* --- beginning and end ----------------------------------------------------------------------- */

struct changes *changes_create(struct server *server)
{
    struct changes *t = memory_zalloc(sizeof(*t));

    t->server = server;
    TAILQ_INIT(&t->list);
    t->publish = evtimer_new(server->base, on_publish, t);
    t->settle = evtimer_new(server->base, on_settle, t);
    atomic_init(&t->now, copy(t));
    return t;
}

void changes_destroy(struct changes *t)
{
    if (!t)
        return;
    while (!TAILQ_EMPTY(&t->list))
        drop(t, TAILQ_FIRST(&t->list));
    event_free(t->publish);
    event_free(t->settle);
    free(atomic_load(&t->now));
    free(t);
}
