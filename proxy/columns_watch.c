/*
 * A round: which shards there are, then a question to each of them, one at a time.
 */
#include "proxy/columns_watch.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "proxy/control_query.h"
#include "proxy/log.h"
#include "proxy/memory.h"
#include "proxy/server.h"
#include "proxy/vtgate_control.h"
#include "proxy/vtgate_watch.h"
#include "proxy/vtgates.h"

#define DIFFERENCES_MAX 100
#define SHARDS_MAX      1024
#define AGAIN_MS        5000 /* after a round that found something new */

/* vtgate takes DATABASE() for its own keyspace: the tables' database is the one that is not MySQL's
   or Vitess's. */
static const char QUESTION[] =
    "SELECT table_name AS t, COUNT(*) AS n, BIT_XOR(CRC32(column_name)) AS x "
    "FROM information_schema.columns WHERE table_schema NOT IN ('mysql', 'sys', "
    "'performance_schema', 'information_schema', '_vt') GROUP BY table_schema, table_name";

struct columns_watch {
    struct server *server;
    struct event *timer;
    struct control_query *query;
    char (*shards)[256]; /* "ks/-80" */
    size_t shard_count, shard;
    uint64_t round;
    bool found_new;
    struct column_difference items[DIFFERENCES_MAX];
    size_t n;
};

static void next_round(struct columns_watch *w, int64_t ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};

    evtimer_add(w->timer, &tv);
}

/* --- differences ----------------------------------------------------------------------------- */

static void note(struct columns_watch *w, const struct column_difference *found)
{
    struct column_difference *d = NULL;

    for (size_t i = 0; i < w->n && !d; i++) {
        if (w->items[i].vtgate == found->vtgate && strcmp(w->items[i].table, found->table) == 0 &&
            strcmp(w->items[i].shard, found->shard) == 0 &&
            strcmp(w->items[i].keyspace, found->keyspace) == 0)
            d = &w->items[i];
    }
    if (!d && w->n == DIFFERENCES_MAX)
        return;
    if (!d) {
        d = &w->items[w->n++];
        *d = *found;
        d->since_ms = clock_ms();
        w->found_new = true;
    }
    d->mysql_columns = found->mysql_columns;
    d->vtgate_columns = found->vtgate_columns;
    d->round = w->round;
    if (++d->rounds == 2)
        log_warn("columns_differ", "keyspace:s table:s shard:s vtgate:s mysql:u vtgate_has:u",
                 d->keyspace, d->table, d->shard, vtgate_name(d->vtgate),
                 (uint64_t)d->mysql_columns, (uint64_t)d->vtgate_columns);
}

/* Forgets what was not seen in this round. */
static void forget(struct columns_watch *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->n; i++) {
        const struct column_difference *d = &w->items[i];

        if (d->round == w->round)
            w->items[kept++] = *d;
        else if (d->rounds >= 2)
            log_info("columns_agree", "keyspace:s table:s shard:s vtgate:s after_ms:d", d->keyspace,
                     d->table, d->shard, vtgate_name(d->vtgate), clock_ms() - d->since_ms);
    }
    w->n = kept;
}

void columns_watch_each(const struct columns_watch *w,
                        void (*fn)(void *arg, const struct column_difference *d), void *arg)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->items[i].rounds >= 2)
            fn(arg, &w->items[i]);
    }
}

/* --- comparing ------------------------------------------------------------------------------- */

/* As MySQL has it: the CRC-32s of the names, one over the other. */
static unsigned long checksum(const json_t *columns)
{
    unsigned long sum = 0;
    json_t *column;
    size_t i;

    json_array_foreach(columns, i, column)
    {
        const char *name = json_string_value(json_array_get(column, 0));

        sum ^= name ? crc32(0, (const unsigned char *)name, (unsigned)strlen(name)) : 0;
    }
    return sum;
}

static void compare(struct columns_watch *w, const char *place, const struct control_result *r,
                    size_t row)
{
    const char *table = control_result_value(r, row, "t"), *n = control_result_value(r, row, "n"),
               *x = control_result_value(r, row, "x"), *slash = strchr(place, '/');
    struct column_difference d = {.mysql_columns = n ? (unsigned)strtoul(n, NULL, 10) : 0};

    if (!table || !n || !x || !slash)
        return;
    snprintf(d.keyspace, sizeof(d.keyspace), "%.*s", (int)(slash - place), place);
    snprintf(d.shard, sizeof(d.shard), "%s", slash + 1);
    snprintf(d.table, sizeof(d.table), "%s", table);
    for (size_t i = 0; i < vtgates_count(w->server->vtgates); i++) {
        const json_t *columns = vtgate_watch_columns(w->server->watch, i, d.keyspace, table);

        d.vtgate = vtgates_at(w->server->vtgates, i);
        d.vtgate_columns = (unsigned)json_array_size(columns);
        if (columns &&
            (d.vtgate_columns != d.mysql_columns || checksum(columns) != strtoul(x, NULL, 10)))
            note(w, &d);
    }
}

/* --- a round --------------------------------------------------------------------------------- */

static void ask_shard(struct columns_watch *w);

static void end_round(struct columns_watch *w)
{
    int64_t pause = w->server->config->columns_compare_s * 1000;

    forget(w);
    next_round(w, w->found_new && pause > AGAIN_MS ? AGAIN_MS : pause > 0 ? pause : AGAIN_MS);
}

static void take_answer(struct columns_watch *w)
{
    control_query_destroy(w->query);
    w->query = NULL;
}

static void on_columns(void *context, void *arg)
{
    struct server *server = context;
    struct columns_watch *w = arg;
    const struct control_query *q = w->query;

    for (size_t row = 0; q->code == 0 && row < q->results[1].rows; row++)
        compare(w, w->shards[w->shard], &q->results[1], row);
    if (q->code)
        log_debug("columns_not_compared", "shard:s code:u", w->shards[w->shard], (uint64_t)q->code);
    take_answer(w);
    w->shard++;
    if (!server->stopped)
        ask_shard(w);
}

static void ask_shard(struct columns_watch *w)
{
    if (w->shard == w->shard_count) {
        end_round(w);
        return;
    }
    w->query = control_query_create();
    control_query_add(w->query, "USE `%s`", w->shards[w->shard]);
    control_query_add(w->query, "%s", QUESTION);
    vtgate_control_run(w->server->control, w->query, &w->server->mailbox, on_columns, w->server, w);
}

static void on_shards(void *context, void *arg)
{
    struct server *server = context;
    struct columns_watch *w = arg;
    const struct control_result *r = &w->query->results[0];

    w->shard_count = 0;
    for (size_t row = 0; w->query->code == 0 && row < r->rows && row < SHARDS_MAX; row++) {
        const char *place = r->values[row * r->columns];

        if (place && strchr(place, '/') && !strchr(place, '`') && strlen(place) < 256)
            snprintf(w->shards[w->shard_count++], 256, "%s", place);
    }
    take_answer(w);
    w->shard = 0;
    if (!server->stopped)
        ask_shard(w);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct columns_watch *w = arg;
    const struct config *c = w->server->config;

    (void)fd;
    (void)what;
    if (!w->server->control)
        return;
    w->round++;
    w->found_new = false;
    if (c->columns_compare_s == 0 || !*c->control_user ||
        !vtgate_watch_configured(w->server->watch)) {
        end_round(w);
        return;
    }
    w->query = control_query_create();
    control_query_add(w->query, "SHOW VITESS_SHARDS");
    vtgate_control_run(w->server->control, w->query, &w->server->mailbox, on_shards, w->server, w);
}

struct columns_watch *columns_watch_create(struct server *server)
{
    struct columns_watch *w = memory_zalloc(sizeof(*w));

    w->server = server;
    w->shards = memory_zalloc(SHARDS_MAX * sizeof(*w->shards));
    w->timer = evtimer_new(server->base, on_timer, w);
    next_round(w, AGAIN_MS);
    return w;
}

void columns_watch_destroy(struct columns_watch *w)
{
    if (!w)
        return;
    if (w->query)
        control_query_destroy(w->query);
    event_free(w->timer);
    free(w->shards);
    free(w);
}
