/*
 * SHOW MIGRATIONS, SHOW MIGRATION 'uuid' and its FOLLOW. What is shown is the record that each
 * session keeps of its migration (migrations.h), and how many sessions its cut-over holds up, which
 * the workers are asked for.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/admin_commands.h"
#include "proxy/holds.h"
#include "proxy/memory.h"
#include "proxy/migrations.h"
#include "proxy/server.h"
#include "proxy/session.h"
#include "proxy/worker.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FOLLOW_MS    250 /* how often FOLLOW looks whether something has changed */

/* Numbers as text, for one row. */
struct numbers {
    char text[24][48];
    size_t n;
};

static const char *number(struct numbers *ns, int64_t v)
{
    char *text = ns->text[ns->n++ % COUNT(ns->text)];

    snprintf(text, sizeof(ns->text[0]), "%" PRId64, v);
    return text;
}

static const char *seconds(struct numbers *ns, int64_t ms)
{
    char *text = ns->text[ns->n++ % COUNT(ns->text)];

    snprintf(text, sizeof(ns->text[0]), "%.1f", (double)ms / 1000);
    return text;
}

/* NULL where there is nothing to say. */
static const char *words(const char *text)
{
    return *text ? text : NULL;
}

static const char *number_or_null(struct numbers *ns, int64_t v, bool is_there)
{
    return is_there ? number(ns, v) : NULL;
}

/* Transactions that put off the last drain: "3, session 12". */
static const char *in_the_way(struct numbers *ns, const struct migration_record *r)
{
    char *text = ns->text[ns->n++ % COUNT(ns->text)];

    if (r->in_the_way == 0)
        return NULL;
    snprintf(text, sizeof(ns->text[0]), "%" PRIu32 ", session %" PRIu64, r->in_the_way,
             r->in_the_way_session);
    return text;
}

/* --- sessions held up by cut-overs ----------------------------------------------------------- */

/* The hold of that migration's cut-over, or 0. (cutover.c names the migration as its owner.) */
static uint64_t find_hold(const struct server *server, uint64_t migration)
{
    const struct hold_set *holds = holds_now(server->holds);
    char owner[48];

    snprintf(owner, sizeof(owner), "migration %" PRIu64, migration);
    for (size_t i = 0; i < holds->n; i++) {
        if (holds->items[i].cutover && strcmp(holds->items[i].owner, owner) == 0)
            return holds->items[i].id;
    }
    return 0;
}

/* A question to all workers: how many sessions are parked behind each of these holds? */
struct parked_count {
    pthread_mutex_t lock; /* of counts */
    size_t n;
    uint64_t *holds; /* 0: none */
    size_t *counts;
};

static void parked_init(struct parked_count *p, size_t n)
{
    pthread_mutex_init(&p->lock, NULL);
    p->n = n;
    p->holds = memory_zalloc((n + 1) * sizeof(*p->holds));
    p->counts = memory_zalloc((n + 1) * sizeof(*p->counts));
}

static void parked_fini(struct parked_count *p)
{
    pthread_mutex_destroy(&p->lock);
    free(p->holds);
    free(p->counts);
}

static void count_parked(const struct worker *w, struct parked_count *p)
{
    const struct session *s;

    pthread_mutex_lock(&p->lock);
    TAILQ_FOREACH(s, &w->parked, parked_link)
    {
        for (size_t i = 0; i < p->n; i++)
            p->counts[i] += p->holds[i] == s->parked_by;
    }
    pthread_mutex_unlock(&p->lock);
}

/* --- SHOW MIGRATIONS ------------------------------------------------------------------------- */

struct listing {
    struct admin_request *rq;
    struct migration_record *records;
    struct parked_count parked;
};

static void listing_row(struct admin_table *t, const struct migration_record *r, size_t parked,
                        int64_t now)
{
    struct numbers ns = {.n = 0};
    bool runs = r->ended_ms == 0;

    admin_table_row(t, (const char *const[]){
                           number(&ns, (int64_t)r->id),
                           words(r->uuid),
                           r->keyspace,
                           r->table,
                           r->verb,
                           r->status,
                           number(&ns, r->shards),
                           number(&ns, r->shards_complete),
                           number(&ns, r->progress),
                           r->user,
                           number(&ns, (int64_t)r->session),
                           seconds(&ns, now - r->started_ms),
                           runs ? NULL : seconds(&ns, r->ended_ms - r->started_ms),
                           words(r->message),
                           r->context,
                           words(r->stage),
                           number_or_null(&ns, r->eta_s, runs && r->eta_s >= 0),
                           number(&ns, (int64_t)r->rows_copied),
                           number(&ns, (int64_t)r->table_rows),
                           number(&ns, r->shards_ready),
                           runs ? words(r->throttled) : NULL,
                           number(&ns, r->attempts),
                           number(&ns, (int64_t)parked),
                           number(&ns, r->drains),
                           in_the_way(&ns, r),
                           number_or_null(&ns, r->queue, r->queue > 0),
                       });
}

static void listing_collect(void *context, void *arg)
{
    count_parked(context, &((struct listing *)arg)->parked);
}

static void listing_collected(void *context, void *arg)
{
    static const char *const NAMES[] = {
        "Id",       "Uuid",     "Keyspace", "Table",       "Verb",       "Status", "Shards",
        "Complete", "Progress", "User",     "Session",     "Age_s",      "Took_s", "Message",
        "Context",  "Stage",    "Eta_s",    "Rows_copied", "Table_rows", "Ready",  "Throttled",
        "Attempts", "Parked",   "Drains",   "In_the_way",  "Queue"};
    struct listing *l = arg;
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));
    int64_t now = clock_ms();

    (void)context;
    for (size_t i = 0; i < l->parked.n; i++)
        listing_row(t, &l->records[i], l->parked.counts[i], now);
    admin_reply_table(l->rq, t);
    parked_fini(&l->parked);
    free(l->records);
    free(l);
}

void admin_show_migrations(struct admin_request *rq, struct lexer *lx)
{
    size_t n;

    if (!admin_expect_end(rq, lx))
        return;
    struct listing *l = memory_zalloc(sizeof(*l));

    l->rq = rq;
    l->records = migrations_copy(rq->server->migrations, &n);
    parked_init(&l->parked, n);
    for (size_t i = 0; i < n; i++)
        l->parked.holds[i] = find_hold(rq->server, l->records[i].id);
    server_broadcast(rq->server, listing_collect, listing_collected, l);
}

/* --- SHOW MIGRATION: shard by shard ---------------------------------------------------------- */

static void reply_shards(struct admin_request *rq, const struct migration_shard *shards, size_t n)
{
    static const char *const NAMES[] = {"Uuid",       "Shard",     "Status",   "Stage",
                                        "Progress",   "Eta_s",     "Ready",    "Rows_copied",
                                        "Table_rows", "Throttled", "Attempts", "Message"};
    struct admin_table *t = admin_table_create(NAMES, COUNT(NAMES));

    for (size_t i = 0; i < n; i++) {
        const struct migration_shard *s = &shards[i];
        struct numbers ns = {.n = 0};

        admin_table_row(t, (const char *const[]){
                               s->uuid,
                               s->shard,
                               s->status,
                               words(s->stage),
                               number(&ns, s->progress),
                               number_or_null(&ns, s->eta_s, s->eta_s >= 0),
                               s->ready ? "yes" : "no",
                               number(&ns, (int64_t)s->rows_copied),
                               number(&ns, (int64_t)s->table_rows),
                               words(s->throttled),
                               number(&ns, s->attempts),
                               words(s->message),
                           });
    }
    admin_reply_table(rq, t);
}

/* --- FOLLOW ---------------------------------------------------------------------------------- */

#define FOLLOW_COLUMNS 14

/* Lives as long as its request. */
struct follow {
    struct admin_request *rq;
    struct server *server;
    struct event *timer;
    char uuid[ADMIN_UUID_MAX];
    struct parked_count parked; /* of one hold */
    bool counting, ended;       /* ended while counting: freed afterwards */
    struct migration_record record;
    char last[1200]; /* what the last row said, but for the time */
};

static void follow_free(struct follow *f)
{
    event_free(f->timer);
    parked_fini(&f->parked);
    free(f);
}

static void follow_over(struct follow *f)
{
    if (f->counting)
        f->ended = true;
    else
        follow_free(f);
}

static void format_now(char *dst, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(dst, size, "%Y-%m-%d %H:%M:%S", &tm);
}

/* Sends a row unless it is the last one once more. */
static void follow_send(struct follow *f, const char *const values[FOLLOW_COLUMNS])
{
    char text[sizeof(f->last)];
    size_t n = 0;

    for (size_t i = 1; i < FOLLOW_COLUMNS && n < sizeof(text); i++) {
        int len = snprintf(text + n, sizeof(text) - n, "%s\n", values[i] ? values[i] : "");

        n += len > 0 ? (size_t)len : 0;
    }
    if (strcmp(text, f->last) == 0)
        return;
    memcpy(f->last, text, sizeof(text));
    admin_stream_row(f->rq, values, FOLLOW_COLUMNS);
}

static void follow_row(struct follow *f)
{
    const struct migration_record *r = &f->record;
    struct numbers ns = {.n = 0};
    bool runs = r->ended_ms == 0;
    char now[32];

    if (runs && admin_stream_is_slow(f->rq))
        return;
    format_now(now, sizeof(now));
    follow_send(f, (const char *const[]){
                       now,
                       r->status,
                       words(r->stage),
                       number(&ns, r->progress),
                       number_or_null(&ns, r->eta_s, runs && r->eta_s >= 0),
                       number(&ns, r->shards),
                       number(&ns, r->shards_ready),
                       number(&ns, r->shards_complete),
                       number(&ns, (int64_t)r->rows_copied),
                       number(&ns, (int64_t)r->table_rows),
                       runs ? words(r->throttled) : NULL,
                       number(&ns, (int64_t)f->parked.counts[0]),
                       in_the_way(&ns, r),
                       words(r->message),
                   });
}

static void follow_tell(struct follow *f)
{
    struct timeval tv = {0, FOLLOW_MS * 1000};

    follow_row(f);
    if (f->record.ended_ms) {
        admin_stream_end(f->rq);
        follow_free(f);
    } else {
        event_add(f->timer, &tv);
    }
}

static void follow_count(void *context, void *arg)
{
    count_parked(context, &((struct follow *)arg)->parked);
}

static void follow_counted(void *context, void *arg)
{
    struct follow *f = arg;

    (void)context;
    f->counting = false;
    if (f->ended)
        follow_free(f);
    else
        follow_tell(f);
}

static void follow_look(evutil_socket_t fd, short what, void *arg)
{
    struct follow *f = arg;
    struct migration_shard *shards;
    size_t n;

    (void)fd;
    (void)what;
    if (admin_stream_is_gone(f->rq)) {
        admin_stream_end(f->rq);
        follow_free(f);
        return;
    }
    /* One that has been forgotten meanwhile ended long ago. */
    if (migrations_find(f->server->migrations, f->uuid, &f->record, &shards, &n))
        free(shards);
    else
        f->record.ended_ms = clock_ms();
    f->parked.counts[0] = 0;
    f->parked.holds[0] = f->record.ended_ms ? 0 : find_hold(f->server, f->record.id);
    if (f->parked.holds[0]) {
        f->counting = true;
        server_broadcast(f->server, follow_count, follow_counted, f);
    } else {
        follow_tell(f);
    }
}

static void follow_interrupt(void *arg, uint16_t code, const char *state, const char *text)
{
    struct follow *f = arg;

    event_del(f->timer);
    admin_reply_error(f->rq, code, state, "%s", text);
    follow_over(f);
}

static void follow_start(struct admin_request *rq, const char *uuid)
{
    static const char *const NAMES[FOLLOW_COLUMNS] = {
        "Time",     "Status",      "Stage",      "Progress",  "Eta_s",  "Shards",     "Ready",
        "Complete", "Rows_copied", "Table_rows", "Throttled", "Parked", "In_the_way", "Message"};
    struct follow *f = memory_zalloc(sizeof(*f));

    f->rq = rq;
    f->server = rq->server;
    f->timer = evtimer_new(rq->server->base, follow_look, f);
    snprintf(f->uuid, sizeof(f->uuid), "%s", uuid);
    parked_init(&f->parked, 1);
    admin_stream_begin(rq, NAMES, FOLLOW_COLUMNS, follow_interrupt, f);
    follow_look(-1, 0, f);
}

void admin_show_migration(struct admin_request *rq, struct lexer *lx)
{
    char uuid[ADMIN_UUID_MAX], keyspace[HOLD_NAME_MAX];
    struct migration_record record;
    struct migration_shard *shards;
    struct admin_error error;
    struct lexer ahead;
    size_t n;

    if (!admin_parse_migration(lx, uuid, keyspace, &error)) {
        admin_refuse(rq, &error);
        return;
    }
    ahead = *lx;
    struct token t = lexer_next(&ahead);
    bool follow = token_is(&t, "FOLLOW");

    if (follow)
        *lx = ahead;
    if (!admin_expect_end(rq, lx))
        return;
    if (!migrations_find(rq->server->migrations, uuid, &record, &shards, &n)) {
        admin_reply_error(rq, 1105, "HY000",
                          "Unknown migration '%s': SHOW MIGRATIONS lists those of this shim, SHOW "
                          "VITESS_MIGRATIONS on the port of the applications all of them",
                          uuid);
        return;
    }
    if (follow)
        follow_start(rq, uuid);
    else
        reply_shards(rq, shards, n);
    free(shards);
}
