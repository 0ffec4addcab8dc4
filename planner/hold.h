/*
 * Holds: the rules that park sessions while something changes underneath. Which statement a hold
 * concerns is decided here; waiting and waking are the proxy's.
 *
 * A set of holds is immutable and reference counted: the registry makes a new one for each change,
 * and each worker keeps the one it was handed last.
 */
#ifndef VTSHIM_PLANNER_HOLD_H
#define VTSHIM_PLANNER_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planner/classify.h"
#include "planner/names.h"

#define HOLD_NAME_MAX   65 /* MySQL's 64 characters and a NUL; Vitess keyspaces are shorter */
#define HOLD_REASON_MAX 256
#define HOLD_VTGATE_MAX 300 /* "host:port" */
#define HOLD_SCOPE_MAX  320 /* what hold_format_scope writes at most, the NUL included */
#define HOLD_KINDS_MAX  40

enum hold_scope { HOLD_ALL, HOLD_KEYSPACE, HOLD_TABLE, HOLD_VTGATE };

/*
 * The kinds of statement that a hold can be limited to. Nobody knows what a transaction is going to
 * do: whatever begins one is held by holds of reads, of writes, and of transactions.
 */
#define HOLD_READS        1u
#define HOLD_WRITES       2u
#define HOLD_TRANSACTIONS 4u /* only what begins one: other statements outside of them pass */
#define HOLD_DDL          8u /* ALTER VSCHEMA included */
#define HOLD_EVERYTHING   15u

/* What the copies of a hold in several sets, and the sessions behind it, have in common. */
struct hold_tally {
    _Atomic unsigned references;
    _Atomic uint64_t parked;
};

/* All zero but for scope and names is a hold of every kind of statement with the limits of the
   configuration. */
struct hold {
    uint64_t id;
    enum hold_scope scope;
    unsigned kinds;               /* HOLD_READS | ..; 0: all, SET, USE and SHOW included */
    char keyspace[HOLD_NAME_MAX]; /* KEYSPACE and TABLE */
    char table[HOLD_NAME_MAX];    /* TABLE */
    char vtgate[HOLD_VTGATE_MAX]; /* VTGATE: its name */
    char reason[HOLD_REASON_MAX];
    char owner[HOLD_REASON_MAX];    /* admin user and address, or what in the shim has set it */
    uint32_t connection;            /* of the admin port, with which it ends; 0: with none */
    int64_t created_ms, expires_ms; /* CLOCK_MONOTONIC */
    int64_t max_wait_ms;            /* of one statement; 0: hold.max_wait_ms */
    uint64_t max_parked;            /* behind this hold; 0: only hold.max_parked counts */
    int64_t rate;                   /* of its release, sessions a second; 0: hold.release_rate */
    int64_t ramp_ms;                /* 0: hold.release_ramp_ms */
    uint64_t released;              /* the number of its release; 0: it is in force */
    bool leaving;                   /* released, and newcomers do not queue up behind it */
    bool retries_pass;        /* statements that wait for a retry are not in its way: it is for
                                 a change that they may be waiting for */
    struct hold_tally *tally; /* the registry's; NULL: none */
};

struct hold_set {
    bool in_transactions; /* one of them may stop a statement inside of a transaction */
    _Atomic unsigned references;
    size_t n;
    struct hold items[];
};

/* A set with room for n holds, all zero, with one reference. */
struct hold_set *hold_set_create(size_t n);
struct hold_set *hold_set_borrow(struct hold_set *set); /* one reference more; returns set */
void hold_set_release(struct hold_set *set);            /* one less; frees it at none */

/* Puts a copy of *h in place i, which is empty. */
void hold_set_put(struct hold_set *set, size_t i, const struct hold *h);

/* All are in it: sets what is known of the set as a whole. */
void hold_set_seal(struct hold_set *set);

/* By its id, released ones included; NULL: there is none. */
const struct hold *hold_set_get(const struct hold_set *set, uint64_t id);

/* A tally with one reference; one more; one less. NULL is none. */
struct hold_tally *hold_tally_create(void);
struct hold_tally *hold_tally_borrow(struct hold_tally *t);
void hold_tally_release(struct hold_tally *t);

/* What a hold is matched against. */
struct hold_subject {
    enum statement_kind kind;
    const char *database;      /* the session's target as sent ("ks", "ks:-80@replica"); NULL or "":
                                  not known, any keyspace is possible */
    const char *vtgate;        /* the session's; NULL: not known */
    const struct names *names; /* the names the statement mentions */
    bool in_transaction;
    bool autocommit; /* a statement outside of a transaction does not begin one */
    const struct names
        *touched;    /* what its transaction has touched (hold_touch); NULL: not known */
    uint64_t served; /* releases up to this number have let the session pass already */
};

/*
 * The first hold that this statement has to wait for, or NULL.
 *
 * A transaction that is open goes on, so that it can end; but a hold of a table or a keyspace stops
 * one that is known not to have touched it yet, at its first statement there. Statements that end
 * transactions, SAVEPOINT, KILL and control of migrations are never held. SET, USE and SHOW are
 * held by ALL and VTGATE alone, and only if these are not limited to kinds.
 *
 * A hold that has been released and is not `leaving` still stops sessions that were not served:
 * they queue up behind those that waited before them.
 */
const struct hold *hold_set_find(const struct hold_set *set, const struct hold_subject *subject);

/* What stands for the holds of a fleet while this shim cannot know them: its id is 0, and it is in
   no set. hold_fence: it, or NULL if the statement ends something. */
extern const struct hold HOLD_FENCE;
const struct hold *hold_fence(const struct hold_subject *subject);

/* Notes in `touched` what a statement with these names touches in a session with that target. */
void hold_touch(struct names *touched, const struct names *names, const char *database);

/* Whether an open transaction counts as one that has touched what the hold is about. NULL: nobody
   knows what it did. Always, for ALL and VTGATE; never, for a hold of DDL only. A table of that name
   in another keyspace alone does not count. */
bool hold_is_touched(const struct hold *h, const struct names *touched);

/* Whether it stops reads and writes outside of transactions alike, so that none begins any more. */
bool hold_stops_statements(const struct hold *h);

/* Whether a hold of a keyspace or table may concern a session with that target. */
bool hold_may_be_target(const struct hold *h, const char *database);

/* Whether they are the same hold: scope, names, kinds, owner. */
bool hold_is_same(const struct hold *a, const struct hold *b);

/* How many sessions may have been resumed `elapsed_us` after a release began: `rate` a second (more
   than 0), after a ramp in which the rate grows from a tenth of it. */
uint64_t hold_pace(int64_t rate, int64_t ramp_ms, int64_t elapsed_us);

/* Whether a session's target (as in hold_subject) may be in the keyspace. */
bool hold_database_may_be(const char *database, const char *keyspace);

/* "all", "keyspace commerce", "table commerce.demo", "vtgate host:port"; cut to fit. */
void hold_format_scope(const struct hold *h, char *dst, size_t size);

/* "all", or "reads, ddl"; cut to fit. */
void hold_format_kinds(const struct hold *h, char *dst, size_t size);

/* The bit of that word (upper or lower case, plural), or 0. */
unsigned hold_kind_find(const struct token *t);

#endif
