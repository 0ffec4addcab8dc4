/*
 * Tables whose columns are others on MySQL than a vtgate takes them to have: changed straight on
 * MySQL, or by gh-ost or pt-online-schema-change, which Vitess does not hear of before a tablet
 * reads its schema anew. Compared every columns.compare_s: one question to each shard, by
 * control.user, and the vtgates' pages (vtgate_web), which both must be configured.
 *
 * Compared are names of columns (their number and a checksum), of tables that a vtgate knows, up to
 * CONTROL_ROWS_MAX tables of a shard. A difference counts when it was there twice in a row, for a
 * schema tracker may be a second behind. Control loop only.
 */
#ifndef VTSHIM_PROXY_COLUMNS_WATCH_H
#define VTSHIM_PROXY_COLUMNS_WATCH_H

#include <stddef.h>
#include <stdint.h>

struct server;
struct vtgate;
struct columns_watch;

struct column_difference {
    char keyspace[256], table[260], shard[256];
    const struct vtgate *vtgate;
    unsigned mysql_columns, vtgate_columns;
    int64_t since_ms;
    unsigned rounds; /* in how many in a row it was seen; told of from 2 on */
    uint64_t round;  /* the last one that saw it */
};

struct columns_watch *columns_watch_create(struct server *server);
/* When no other thread runs any more. NULL is fine. */
void columns_watch_destroy(struct columns_watch *w);

/* The differences that count: calls fn for each of them. */
void columns_watch_each(const struct columns_watch *w,
                        void (*fn)(void *arg, const struct column_difference *d), void *arg);

#endif
