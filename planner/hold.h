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

enum hold_scope { HOLD_ALL, HOLD_KEYSPACE, HOLD_TABLE };

struct hold {
    uint64_t id;
    enum hold_scope scope;
    bool cutover; /* TABLE, of a cut-over: concerns only transactions that have not touched the
                     table yet. Those that have can end, no new one begins; statements outside of
                     transactions pass, for vttablet buffers them itself. */
    char keyspace[HOLD_NAME_MAX]; /* KEYSPACE and TABLE */
    char table[HOLD_NAME_MAX];    /* TABLE */
    char reason[HOLD_REASON_MAX];
    char owner[HOLD_REASON_MAX];    /* admin user and address */
    int64_t created_ms, expires_ms; /* CLOCK_MONOTONIC */
};

struct hold_set {
    bool cutover; /* at least one of them is of a cut-over */
    _Atomic unsigned references;
    size_t n;
    struct hold items[];
};

/* A set with room for n holds, all zero, with one reference. */
struct hold_set *hold_set_create(size_t n);
struct hold_set *hold_set_borrow(struct hold_set *set); /* one reference more; returns set */
void hold_set_release(struct hold_set *set);            /* one less; frees it at none */

/* What a hold is matched against. */
struct hold_subject {
    enum statement_kind kind;
    const char *database;      /* the session's target as sent ("ks", "ks:-80@replica"); NULL or "":
                                  not known, any keyspace is possible */
    const struct names *names; /* the names the statement mentions */
    bool in_transaction;
    bool autocommit;             /* a statement outside of a transaction does not begin one */
    const struct names *touched; /* names that its transaction has mentioned; NULL: not known */
};

/*
 * The first hold that this statement has to wait for, or NULL. In a transaction only those of
 * cut-overs count. Statements that end transactions,
 * SAVEPOINT, KILL and control of migrations are never held: what is under way must be able to end.
 * TABLE and KEYSPACE holds also let SET, USE and SHOW pass.
 */
const struct hold *hold_set_find(const struct hold_set *set, const struct hold_subject *subject);

/* "all", "keyspace commerce", "table commerce.demo"; cut to fit. */
void hold_format_scope(const struct hold *h, char *dst, size_t size);

#endif
