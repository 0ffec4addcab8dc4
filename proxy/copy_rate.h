/*
 * How fast Vitess copies rows, measured by the migrations that this process has watched: the mean
 * of a keyspace's shards, newer ones counting more. Any thread.
 */
#ifndef VTSHIM_PROXY_COPY_RATE_H
#define VTSHIM_PROXY_COPY_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_RATE_KEYSPACES_MAX                                                                    \
    64 /* the one that was measured longest ago is forgotten for another */

struct copy_rates;

struct copy_rate {
    char keyspace[65];
    double rows_per_s;  /* on one shard */
    double bytes_per_s; /* likewise; 0: not measured */
    uint64_t copies;    /* that it comes from: migrations times shards */
    bool at_least;      /* only copies whose end was not seen: a lower bound */
};

/* What one shard has copied. */
struct copied {
    uint64_t rows, bytes; /* bytes: 0 if that is not known */
    int64_t ms;
    bool at_least; /* it took that long at most */
};

struct copy_rates *copy_rates_create(void);
void copy_rates_destroy(struct copy_rates *rates);

void copy_rates_note(struct copy_rates *rates, const char *keyspace, const struct copied *copied);

/* False: nothing was measured in that keyspace. */
bool copy_rates_get(struct copy_rates *rates, const char *keyspace, struct copy_rate *rate);

/* A copy of all; *n is their number. free() it. */
struct copy_rate *copy_rates_copy(struct copy_rates *rates, size_t *n);

/* --- measuring one migration ----------------------------------------------------------------- */

struct executor_row;
struct copy_watch;

/* Each poll's row of a shard. *watch starts as NULL; copy_watch_free it. What is too short to tell
   anything (COPY_MS_MIN, COPY_ROWS_MIN) and copies that an operator throttled do not count.
   row_bytes: the mean size of the table's rows, or 0. */
#define COPY_MS_MIN   500
#define COPY_ROWS_MIN 1000
void copy_watch_row(struct copy_watch **watch, struct copy_rates *rates, const char *keyspace,
                    const struct executor_row *row, uint64_t row_bytes, int64_t now_ms);
void copy_watch_free(struct copy_watch *watch);

#endif
