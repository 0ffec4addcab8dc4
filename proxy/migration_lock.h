/*
 * One migration of a table at a time over all shims, and whoever else speaks to Vitess.
 */
#ifndef VTSHIM_PROXY_MIGRATION_LOCK_H
#define VTSHIM_PROXY_MIGRATION_LOCK_H

#include <stdbool.h>

struct session;

/*
 * Those of its table that came first through this shim have ended. Submits the migration of
 * s->migration, unless Vitess has one in flight that touches its tables: then it is waited for
 * (migration_queue_behind). Without a keyspace, or inside of a transaction, nothing can be asked,
 * and it is submitted.
 */
void migration_lock(struct session *s);

/* The submission is over. False: nothing is locked; true: migration_submitted is called again. */
bool migration_unlock(struct session *s);

/* Asks for the tables that foreign keys and views tie to its own, if it may run beside others
   (--allow-concurrent), and notes them in the list of migrations. Then calls migration_queue. */
void migration_relate(struct session *s);

#endif
