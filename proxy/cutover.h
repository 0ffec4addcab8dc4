/*
 * The cut-over of a migration, without freezing its table. vttablet's own cut-over waits for the
 * metadata lock of every open transaction that touched the table, while it buffers the next
 * statements of just these transactions: with some transactions in the load it stands still until
 * it times out. So the shim first lets these transactions end and holds up new ones at their first
 * statement on the table (a hold of its own, see planner/hold.h); only then are the shards told to
 * complete.
 *
 * A cut-over belongs to the control loop while it drains, and to the session from the callback on.
 */
#ifndef VTSHIM_PROXY_CUTOVER_H
#define VTSHIM_PROXY_CUTOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct cutover;

/* Sets the hold and drains. migration_drained() is called on the session's worker afterwards, if
   the session still has that migration (by its id, which is never used twice). */
void cutover_start(struct session *s, uint64_t migration_id, const char *keyspace,
                   const char *table);

/* Whether its hold may have a gap (cut_shards_gap_is_safe). Only once migration_drained has been
   called with it. */
bool cutover_is_liftable(const struct cutover *c);

/* The hold ends, and is set again after that many milliseconds. At most once. */
void cutover_lift(struct cutover *c, int64_t ms);

/* The hold ends; c is gone. */
void cutover_end(struct cutover *c);

struct server;

/* The process ends, the workers have: frees the ones that were still draining. */
void cutover_stop_all(struct server *server);

#endif
