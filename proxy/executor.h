/*
 * How a migration reaches Vitess: one table of functions for each way. migration.c and
 * migration_watch.c are the state machine and know no more of Vitess than this; what an executor
 * says to it, and over which connection, is in executor_*.c.
 *
 * Every function works for s->migration, returns at once, and reports exactly once, on the
 * session's own thread and (but for locate) later, unless the migration is gone by then
 * (migration_forget) or its look is given up (let_go). At most one is under way at a time.
 */
#ifndef VTSHIM_PROXY_EXECUTOR_H
#define VTSHIM_PROXY_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/ddl.h"
#include "protocol/bytes.h"

#define EXECUTOR_COLUMNS_MAX 128 /* SHOW VITESS_MIGRATIONS has about 60 */

struct session;

/* One migration on one shard, as Vitess tells it. The bytes are borrowed. */
struct executor_row {
    struct bytes uuid, shard, message;
    enum migration_status status;
    uint32_t progress;   /* percent */
    bool ready;          /* it could cut over */
    bool tablet_failure; /* it failed because its tablet did */
    bool retried;        /* it was taken up again since */
    struct bytes stage;  /* Vitess's own words for what it does */
    struct bytes throttled_component, throttled_reason, throttled_at; /* the last time, or empty */
    struct bytes user_throttle;       /* 0, or the ratio asked for */
    uint64_t rows_copied, table_rows; /* the latter an estimate */
    int64_t eta_s;                    /* -1: not known */
    uint32_t attempts;                /* cut-overs that were tried */
    uint32_t threshold_s;             /* for its cut-over; 0: not known */
    int64_t looked;                   /* moves when the tablet looks at it: see cut_looks.h */
};

/* Whether it is of that migration on that shard. */
static inline bool executor_row_is(const struct executor_row *row, const char *uuid,
                                   const char *shard)
{
    return bytes_are(row->uuid, uuid) && bytes_are(row->shard, shard);
}

/* Whether an operator has throttled it: the ratio is neither missing nor "0", "0.0". */
static inline bool executor_row_is_throttled(const struct executor_row *row)
{
    for (size_t i = 0; i < row->user_throttle.len; i++) {
        if (row->user_throttle.p[i] != '0' && row->user_throttle.p[i] != '.')
            return true;
    }
    return false;
}

/* All rows of the migration's context; rows is NULL when there was no answer. Borrowed until the
   callback returns. */
typedef void executor_rows(struct session *s, const struct executor_row *rows, size_t n);

/* code 0: it was accepted; else MySQL's code of the refusal. */
typedef void executor_done(struct session *s, uint16_t code);

struct executor {
    const char *name;

    /* Runs the DDL with m->strategy and m->context. Sets m->submitted and m->submitting from the
       moment on in which it may have reached Vitess, fills m->uuids, or m->code and what goes with
       it, and reports with migration_submitted(). */
    void (*submit)(struct session *s);

    /* Finds m->record.keyspace and m->shards; reports with migration_located(). */
    void (*locate)(struct session *s);

    /* The keyspace must be known. */
    void (*look)(struct session *s, executor_rows *seen);
    /* NULL, or the same for all migrations that run in that keyspace now, whoever they are of. */
    void (*look_running)(struct session *s, executor_rows *seen);
    void (*cancel)(struct session *s, const char *uuid, executor_done *done);
    /* shard: NULL for all. */
    void (*complete)(struct session *s, const char *uuid, const char *shard, executor_done *done);
    /* Must not complete before it is told to. NULL: the executor cannot. */
    void (*postpone)(struct session *s, const char *uuid, executor_done *done);
    /* Sets its cut-over threshold. */
    void (*threshold)(struct session *s, const char *uuid, uint32_t seconds, executor_done *done);
    /* Sees to it that an event which changes nothing gets into the shard's binary log: what follows
       that log then keeps its place at once. NULL: the executor cannot. */
    void (*mark)(struct session *s, const char *shard, executor_done *done);
    /* Runs it again on the shards where it failed or was cancelled. */
    void (*retry)(struct session *s, const char *uuid, executor_done *done);

    /* Gives up a look that is under way: it is not reported. False: there is none that could be. */
    bool (*let_go)(struct session *s);

    /* What the executor keeps in the migration is no longer needed: it ends. */
    void (*forget)(struct session *s);
};

/* Over the client's own session: its own rights, its own vtgate. */
extern const struct executor executor_vtgate;

/* Over gRPC: the keyspace's lock, a uuid of ours, no rights but those that the shim checks. */
extern const struct executor executor_vtctld;

#endif
