/*
 * The rates and, per migration, the watches that they come from: rows_copied of each shard when its
 * copy was first and last seen under way.
 */
#include "proxy/copy_rate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/executor.h"
#include "proxy/memory.h"

#define NEWEST_WEIGHT 0.3
#define SHARDS_MAX    64 /* of one migration that are watched */

struct copy_rates {
    pthread_mutex_t lock;
    struct {
        struct copy_rate rate;
        uint64_t turn; /* of the last note; 0: not used */
    } items[COPY_RATE_KEYSPACES_MAX];
    uint64_t turns;
};

struct copy_rates *copy_rates_create(void)
{
    struct copy_rates *rates = memory_zalloc(sizeof(*rates));

    pthread_mutex_init(&rates->lock, NULL);
    return rates;
}

void copy_rates_destroy(struct copy_rates *rates)
{
    if (!rates)
        return; /* the start failed before they were made */
    pthread_mutex_destroy(&rates->lock);
    free(rates);
}

/* The keyspace's place; else an unused one, or the oldest. */
static size_t place_of(const struct copy_rates *rates, const char *keyspace)
{
    size_t oldest = 0;

    for (size_t i = 0; i < COPY_RATE_KEYSPACES_MAX; i++) {
        if (rates->items[i].turn && strcmp(rates->items[i].rate.keyspace, keyspace) == 0)
            return i;
        if (rates->items[i].turn < rates->items[oldest].turn)
            oldest = i;
    }
    return oldest;
}

static double mean(double old, double newest)
{
    return old > 0 ? old * (1 - NEWEST_WEIGHT) + newest * NEWEST_WEIGHT : newest;
}

/* A lower bound, from a copy whose end was not seen, gives way to the first that was measured, and
   counts by itself only where it is more than what is known. */
static void take(struct copy_rate *rate, double rows_per_s, double bytes_per_s, bool at_least)
{
    if (at_least && rate->copies > 0 && rows_per_s <= rate->rows_per_s)
        return;
    if (rate->at_least) {
        rate->rows_per_s = rate->bytes_per_s = 0;
        rate->copies = at_least ? rate->copies : 0;
    }
    rate->at_least = at_least && (rate->at_least || rate->copies == 0);
    rate->rows_per_s = mean(rate->rows_per_s, rows_per_s);
    if (bytes_per_s > 0)
        rate->bytes_per_s = mean(rate->bytes_per_s, bytes_per_s);
    rate->copies++;
}

void copy_rates_note(struct copy_rates *rates, const char *keyspace, const struct copied *copied)
{
    if (copied->ms <= 0 || copied->rows == 0)
        return;
    double seconds = (double)copied->ms / 1000;

    pthread_mutex_lock(&rates->lock);
    size_t i = place_of(rates, keyspace);
    struct copy_rate *rate = &rates->items[i].rate;

    if (!rates->items[i].turn || strcmp(rate->keyspace, keyspace) != 0) {
        memset(rate, 0, sizeof(*rate));
        snprintf(rate->keyspace, sizeof(rate->keyspace), "%s", keyspace);
    }
    take(rate, (double)copied->rows / seconds, (double)copied->bytes / seconds, copied->at_least);
    rates->items[i].turn = ++rates->turns;
    pthread_mutex_unlock(&rates->lock);
}

bool copy_rates_get(struct copy_rates *rates, const char *keyspace, struct copy_rate *rate)
{
    pthread_mutex_lock(&rates->lock);
    size_t i = place_of(rates, keyspace);
    bool found = rates->items[i].turn && strcmp(rates->items[i].rate.keyspace, keyspace) == 0;

    if (found)
        *rate = rates->items[i].rate;
    pthread_mutex_unlock(&rates->lock);
    return found;
}

struct copy_rate *copy_rates_copy(struct copy_rates *rates, size_t *n)
{
    struct copy_rate *all = memory_zalloc(COPY_RATE_KEYSPACES_MAX * sizeof(*all));

    *n = 0;
    pthread_mutex_lock(&rates->lock);
    for (size_t i = 0; i < COPY_RATE_KEYSPACES_MAX; i++) {
        if (rates->items[i].turn)
            all[(*n)++] = rates->items[i].rate;
    }
    pthread_mutex_unlock(&rates->lock);
    return all;
}

/* --- measuring one migration ----------------------------------------------------------------- */

struct watched {
    char uuid[64], shard[64];
    bool seen, done;
    uint64_t first_rows, last_rows;
    int64_t first_ms, last_ms;
};

struct copy_watch {
    struct watched shards[SHARDS_MAX];
    size_t n;
};

static struct watched *find(struct copy_watch *w, const struct executor_row *row)
{
    for (size_t i = 0; i < w->n; i++) {
        if (executor_row_is(row, w->shards[i].uuid, w->shards[i].shard))
            return &w->shards[i];
    }
    if (w->n == SHARDS_MAX)
        return NULL;
    struct watched *s = &w->shards[w->n++];

    bytes_to_name(s->uuid, sizeof(s->uuid), row->uuid);
    bytes_to_name(s->shard, sizeof(s->shard), row->shard);
    return s;
}

static void note(struct watched *s, struct copy_rates *rates, const char *keyspace,
                 uint64_t row_bytes, bool at_least)
{
    struct copied copied = {
        .rows = s->last_rows - s->first_rows, .ms = s->last_ms - s->first_ms, .at_least = at_least};

    copied.bytes = copied.rows * row_bytes;
    if (copied.ms >= COPY_MS_MIN && copied.rows >= COPY_ROWS_MIN)
        copy_rates_note(rates, keyspace, &copied);
}

static void at_end(struct watched *s, struct copy_rates *rates, const char *keyspace,
                   const struct executor_row *row, uint64_t row_bytes, int64_t now_ms)
{
    bool between_looks = s->last_rows == s->first_rows;

    s->done = true;
    if (!s->seen)
        return;
    if (between_looks) {
        s->last_rows = row->rows_copied;
        s->last_ms = now_ms;
    }
    note(s, rates, keyspace, row_bytes, between_looks);
}

/* vttablet says how far it is with each of its looks, once a minute by default: so the time counts
   from when it was first seen to run (which makes short copies a little slower than they are) to
   when rows were last seen to have come. It is ready up to a look after that: this does not count,
   but for a copy that began and ended between two looks, which was that fast at least. */
void copy_watch_row(struct copy_watch **watch, struct copy_rates *rates, const char *keyspace,
                    const struct executor_row *row, uint64_t row_bytes, int64_t now_ms)
{
    if (!*watch)
        *watch = memory_zalloc(sizeof(**watch));
    struct watched *s = find(*watch, row);

    if (!s || s->done)
        return;
    if (executor_row_is_throttled(row) || (s->seen && row->rows_copied < s->last_rows)) {
        s->done = true; /* or begun anew */
    } else if (row->ready || migration_status_is_terminal(row->status)) {
        at_end(s, rates, keyspace, row, row_bytes, now_ms);
    } else if (row->status == MIGRATION_RUNNING && !s->seen) {
        s->seen = true;
        s->first_rows = s->last_rows = row->rows_copied;
        s->first_ms = s->last_ms = now_ms;
    } else if (row->status == MIGRATION_RUNNING && row->rows_copied > s->last_rows) {
        s->last_rows = row->rows_copied;
        s->last_ms = now_ms;
    }
}

void copy_watch_free(struct copy_watch *watch)
{
    free(watch);
}
