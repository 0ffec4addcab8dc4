/*
 * Shards of a migration on which nothing moves any more, without an error and without an end. That
 * is so where a tablet died in the moment between a migration's beginning and that of its stream:
 * Vitess leaves the stream stopped, calls the migration running, and waits for three hours
 * (staleMigrationFailMinutes in go/vt/vttablet/onlineddl/executor.go). A stream that is well, or
 * throttled, or behind, says so each second, which is seen when the tablet looks, once a minute by
 * default. Owned by one migration.
 */
#ifndef VTSHIM_PROXY_STANDSTILL_H
#define VTSHIM_PROXY_STANDSTILL_H

#include <stdint.h>

struct executor_row;
struct standstill;

/* What a poll shows of a shard. *s starts as NULL; standstill_free it. Bounded: of more than 64
   shards and tables the first are watched. */
void standstill_row(struct standstill **s, const struct executor_row *row, int64_t now_ms);

/* The shard that has stood still longest, if that is limit_ms or more, and for how long: *ms. NULL:
   all move, or limit_ms is 0. Valid until standstill_free. */
const char *standstill_find(const struct standstill *s, int64_t limit_ms, int64_t now_ms,
                            int64_t *ms);

void standstill_free(struct standstill *s);

#endif
