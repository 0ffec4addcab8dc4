/*
 * SHOW MIGRATION 'uuid' FOLLOW: a row whenever the migration has got on, until it ends, the client
 * leaves, somebody kills the query, or the shim ends. A client that does not take its rows misses
 * some, but never the last.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/admin_migrations.h"
#include "proxy/admin_parse.h"
#include "proxy/memory.h"
#include "proxy/server.h"

#define FOLLOW_MS      250 /* how often it looks whether something has changed */
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
    struct admin_values ns = {.n = 0};
    bool runs = r->ended_ms == 0;
    char now[32];

    if (runs && admin_stream_is_slow(f->rq))
        return;
    format_now(now, sizeof(now));
    follow_send(f, (const char *const[]){
                       now,
                       r->status,
                       admin_words(r->stage),
                       admin_number(&ns, r->progress),
                       admin_number_or_null(&ns, r->eta_s, runs && r->eta_s >= 0),
                       admin_number(&ns, r->shards),
                       admin_number(&ns, r->shards_ready),
                       admin_number(&ns, r->shards_complete),
                       admin_number(&ns, (int64_t)r->rows_copied),
                       admin_number(&ns, (int64_t)r->table_rows),
                       runs ? admin_words(r->throttled) : NULL,
                       admin_number(&ns, (int64_t)f->parked.counts[0]),
                       admin_in_the_way(&ns, r),
                       admin_words(r->message),
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
    parked_collect(context, &((struct follow *)arg)->parked);
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
    f->parked.holds[0] = f->record.ended_ms ? 0 : admin_cutover_hold(f->server, f->record.id);
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

void admin_follow(struct admin_request *rq, const char *uuid)
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
