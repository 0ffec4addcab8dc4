/*
 * Matching of holds. Over-approximates on purpose: see names.h.
 */
#include "planner/hold.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ascii.h"

struct hold_set *hold_set_create(size_t n)
{
    struct hold_set *set = calloc(1, sizeof(*set) + n * sizeof(set->items[0]));

    if (!set) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    atomic_init(&set->references, 1);
    set->n = n;
    return set;
}

struct hold_set *hold_set_borrow(struct hold_set *set)
{
    atomic_fetch_add(&set->references, 1);
    return set;
}

void hold_set_release(struct hold_set *set)
{
    if (set && atomic_fetch_sub(&set->references, 1) == 1)
        free(set);
}

/* What a kind of statement has to do with each kind of hold. */
enum concern { CONCERN_NONE, CONCERN_ALL_ONLY, CONCERN_ANY };

static enum concern kind_concern(enum statement_kind kind)
{
    switch (kind) {
    case STATEMENT_EMPTY:
    case STATEMENT_END_TRANSACTION:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_KILL:
    case STATEMENT_MIGRATION:
    case STATEMENT_DEALLOCATE:
        return CONCERN_NONE;
    case STATEMENT_SET:
    case STATEMENT_USE:
    case STATEMENT_SHOW:
    case STATEMENT_EXPLAIN_DDL:
        return CONCERN_ALL_ONLY;
    default:
        return CONCERN_ANY;
    }
}

/* Whether a target may be in the keyspace: that is what stands before the first of ":/@[". None
   ("", "@replica") may be any, as vtgate then finds tables by their names alone. */
static bool database_may_be(const char *database, const char *keyspace)
{
    size_t len = strcspn(database, ":/@[");

    if (len == 0)
        return true;
    if (len != strlen(keyspace))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (ascii_upper(database[i]) != ascii_upper(keyspace[i]))
            return false;
    }
    return true;
}

static bool keyspace_concerned(const struct hold *h, const struct hold_subject *s)
{
    return !s->database || database_may_be(s->database, h->keyspace) ||
           names_may_contain(s->names, h->keyspace, strlen(h->keyspace));
}

static bool hold_applies(const struct hold *h, const struct hold_subject *s)
{
    if (!h->cutover)
        return !s->in_transaction;
    if (!s->in_transaction)
        return !s->autocommit;
    return s->touched && !names_may_contain(s->touched, h->table, strlen(h->table));
}

const struct hold *hold_set_find(const struct hold_set *set, const struct hold_subject *s)
{
    enum concern concern = set->n ? kind_concern(s->kind) : CONCERN_NONE;

    if (concern == CONCERN_NONE)
        return NULL;
    for (size_t i = 0; i < set->n; i++) {
        const struct hold *h = &set->items[i];

        if (!hold_applies(h, s))
            continue;
        if (h->scope == HOLD_ALL)
            return h;
        if (concern != CONCERN_ANY || !keyspace_concerned(h, s))
            continue;
        if (h->scope == HOLD_KEYSPACE || names_may_contain(s->names, h->table, strlen(h->table)))
            return h;
    }
    return NULL;
}

void hold_format_scope(const struct hold *h, char *dst, size_t size)
{
    if (h->scope == HOLD_ALL)
        snprintf(dst, size, "all");
    else if (h->scope == HOLD_KEYSPACE)
        snprintf(dst, size, "keyspace %s", h->keyspace);
    else
        snprintf(dst, size, "table %s.%s", h->keyspace, h->table);
}
