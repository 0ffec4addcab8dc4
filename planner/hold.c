/*
 * Matching of holds. Over-approximates on purpose: see names.h.
 */
#include "planner/hold.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ascii.h"
#include "planner/target.h"

/* All that a transaction may turn out to be. */
#define HOLD_WORK (HOLD_READS | HOLD_WRITES | HOLD_TRANSACTIONS)
/* SET, USE, SHOW: what a hold that names no kinds has besides them. */
#define HOLD_SETTINGS 16u

static const struct {
    unsigned bit;
    const char *name, *word;
} KINDS[] = {{HOLD_READS, "reads", "READS"},
             {HOLD_WRITES, "writes", "WRITES"},
             {HOLD_TRANSACTIONS, "transactions", "TRANSACTIONS"},
             {HOLD_DDL, "ddl", "DDL"}};

/* --- sets and tallies ------------------------------------------------------------------------- */

static void *allocate(size_t size)
{
    void *p = calloc(1, size);

    if (!p) {
        fputs("vtshim: out of memory\n", stderr);
        abort();
    }
    return p;
}

struct hold_tally *hold_tally_create(void)
{
    struct hold_tally *t = allocate(sizeof(*t));

    atomic_init(&t->references, 1);
    return t;
}

struct hold_tally *hold_tally_borrow(struct hold_tally *t)
{
    if (t)
        atomic_fetch_add(&t->references, 1);
    return t;
}

void hold_tally_release(struct hold_tally *t)
{
    if (t && atomic_fetch_sub(&t->references, 1) == 1)
        free(t);
}

struct hold_set *hold_set_create(size_t n)
{
    struct hold_set *set = allocate(sizeof(*set) + n * sizeof(set->items[0]));

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
    if (!set || atomic_fetch_sub(&set->references, 1) != 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        hold_tally_release(set->items[i].tally);
    free(set);
}

void hold_set_put(struct hold_set *set, size_t i, const struct hold *h)
{
    set->items[i] = *h;
    hold_tally_borrow(h->tally);
}

/* The kinds it is about, HOLD_SETTINGS included. */
static unsigned hold_bits(const struct hold *h)
{
    if (h->kinds)
        return h->kinds;
    return h->scope == HOLD_ALL || h->scope == HOLD_VTGATE ? HOLD_EVERYTHING | HOLD_SETTINGS
                                                           : HOLD_EVERYTHING;
}

void hold_set_seal(struct hold_set *set)
{
    set->in_transactions = false;
    for (size_t i = 0; i < set->n; i++) {
        const struct hold *h = &set->items[i];
        bool named = h->scope == HOLD_KEYSPACE || h->scope == HOLD_TABLE;

        if (!h->released && (named || !(hold_bits(h) & HOLD_WORK)))
            set->in_transactions = true;
    }
}

const struct hold *hold_set_get(const struct hold_set *set, uint64_t id)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->items[i].id == id)
            return &set->items[i];
    }
    return NULL;
}

/* --- what a transaction has touched ----------------------------------------------------------- */

/*
 * The keyspace of the session stands in the filter behind a byte that no name begins with, so that
 * a table of the keyspace's name is not taken for it. That of a session without one is that byte
 * alone: it may have been any.
 */
static size_t keyspace_mark(char mark[HOLD_NAME_MAX + 1], const char *keyspace, size_t len)
{
    if (len > HOLD_NAME_MAX - 1)
        len = HOLD_NAME_MAX - 1;
    mark[0] = '\001';
    memcpy(mark + 1, keyspace, len);
    return len + 1;
}

void hold_touch(struct names *touched, const struct names *names, const char *database)
{
    char mark[HOLD_NAME_MAX + 1];
    struct sql_name keyspace = target_keyspace(database);

    names_merge(touched, names);
    names_add(touched, mark, keyspace_mark(mark, keyspace.text, keyspace.len));
}

static bool keyspace_is_touched(const char *keyspace, const struct names *touched)
{
    char mark[HOLD_NAME_MAX + 1];
    size_t len = strlen(keyspace);

    return names_may_contain(touched, keyspace, len) || names_may_contain(touched, "\001", 1) ||
           names_may_contain(touched, mark, keyspace_mark(mark, keyspace, len));
}

bool hold_is_touched(const struct hold *h, const struct names *touched)
{
    if (!(hold_bits(h) & HOLD_WORK))
        return false;
    if (h->scope == HOLD_ALL || h->scope == HOLD_VTGATE || !touched)
        return true;
    return keyspace_is_touched(h->keyspace, touched) &&
           (h->scope == HOLD_KEYSPACE || names_may_contain(touched, h->table, strlen(h->table)));
}

bool hold_stops_statements(const struct hold *h)
{
    return !(~hold_bits(h) & (HOLD_READS | HOLD_WRITES));
}

/* --- matching --------------------------------------------------------------------------------- */

/* What a statement may be: those bits of a hold concern it. 0: none does. */
static unsigned statement_bits(const struct hold_subject *s)
{
    switch (s->kind) {
    case STATEMENT_EMPTY:
    case STATEMENT_END_TRANSACTION:
    case STATEMENT_SAVEPOINT:
    case STATEMENT_KILL:
    case STATEMENT_MIGRATION:
    case STATEMENT_DEALLOCATE:
        return 0;
    case STATEMENT_SET:
    case STATEMENT_USE:
    case STATEMENT_SHOW:
    case STATEMENT_EXPLAIN_DDL:
        return HOLD_SETTINGS;
    case STATEMENT_READ:
        return HOLD_READS;
    case STATEMENT_WRITE:
        return HOLD_WRITES;
    case STATEMENT_BEGIN:
        return HOLD_WORK;
    case STATEMENT_ONLINE_DDL:
    case STATEMENT_DIRECT_DDL:
    case STATEMENT_VSCHEMA:
        return HOLD_DDL;
    default: /* unknown; if it was not even seen it may begin a transaction, too */
        return HOLD_READS | HOLD_WRITES | HOLD_DDL | (s->names->everything ? HOLD_WORK : 0);
    }
}

/* Whether a target may be in the keyspace. None ("", "@replica") may be any, as vtgate then finds
   tables by their names alone. */
bool hold_database_may_be(const char *database, const char *keyspace)
{
    size_t len = target_keyspace(database).len;

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

bool hold_may_be_target(const struct hold *h, const char *database)
{
    return !database || hold_database_may_be(database, h->keyspace);
}

static bool scope_concerns(const struct hold *h, const struct hold_subject *s)
{
    if (h->scope == HOLD_ALL)
        return true;
    if (h->scope == HOLD_VTGATE)
        return !s->vtgate || strcmp(s->vtgate, h->vtgate) == 0;
    if (!hold_may_be_target(h, s->database) &&
        !names_may_contain(s->names, h->keyspace, strlen(h->keyspace)))
        return false;
    return h->scope == HOLD_KEYSPACE || names_may_contain(s->names, h->table, strlen(h->table));
}

/* Whether the hold lets this session be, whatever the statement. */
static bool session_passes(const struct hold *h, const struct hold_subject *s)
{
    if (h->released && (h->leaving || s->in_transaction || h->released <= s->served))
        return true;
    return s->in_transaction && (hold_bits(h) & HOLD_WORK) && hold_is_touched(h, s->touched);
}

const struct hold *hold_set_find(const struct hold_set *set, const struct hold_subject *s)
{
    unsigned bits = set->n ? statement_bits(s) : 0;

    if (bits == 0)
        return NULL;
    if ((s->in_transaction || !s->autocommit) && (bits & (HOLD_READS | HOLD_WRITES)))
        bits |= HOLD_WORK; /* it begins one, or is a part of it */
    for (size_t i = 0; i < set->n; i++) {
        const struct hold *h = &set->items[i];

        if ((hold_bits(h) & bits) && !session_passes(h, s) && scope_concerns(h, s))
            return h;
    }
    return NULL;
}

const struct hold HOLD_FENCE = {.scope = HOLD_ALL, .reason = "out of touch with the fleet"};

const struct hold *hold_fence(const struct hold_subject *s)
{
    return statement_bits(s) ? &HOLD_FENCE : NULL;
}

bool hold_is_same(const struct hold *a, const struct hold *b)
{
    return a->scope == b->scope && a->kinds == b->kinds && strcmp(a->keyspace, b->keyspace) == 0 &&
           strcmp(a->table, b->table) == 0 && strcmp(a->vtgate, b->vtgate) == 0 &&
           strcmp(a->owner, b->owner) == 0;
}

/* --- releasing -------------------------------------------------------------------------------- */

/* The rate is r/10 + 0.9 r t/R while t < R, so that their sum is r/10 t + 0.45 r t t/R. */
uint64_t hold_pace(int64_t rate, int64_t ramp_ms, int64_t elapsed_us)
{
    double t = (double)elapsed_us / 1e6, ramp = (double)ramp_ms / 1e3, r = (double)rate;
    double n = t < ramp ? r * (0.1 * t + 0.45 * t * t / ramp) : r * (t - 0.45 * ramp);

    return n >= 1e15 ? UINT64_C(1000000000000000) : (uint64_t)n;
}

/* --- words ------------------------------------------------------------------------------------ */

void hold_format_scope(const struct hold *h, char *dst, size_t size)
{
    switch (h->scope) {
    case HOLD_ALL:
        snprintf(dst, size, "all");
        break;
    case HOLD_KEYSPACE:
        snprintf(dst, size, "keyspace %s", h->keyspace);
        break;
    case HOLD_TABLE:
        snprintf(dst, size, "table %s.%s", h->keyspace, h->table);
        break;
    case HOLD_VTGATE:
        snprintf(dst, size, "vtgate %s", h->vtgate);
        break;
    }
}

void hold_format_kinds(const struct hold *h, char *dst, size_t size)
{
    size_t n = 0;

    snprintf(dst, size, "%s", h->kinds ? "" : "all");
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]) && n < size; i++) {
        if (h->kinds & KINDS[i].bit)
            n += (size_t)snprintf(dst + n, size - n, "%s%s", n ? ", " : "", KINDS[i].name);
    }
}

unsigned hold_kind_find(const struct token *t)
{
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (token_is(t, KINDS[i].word))
            return KINDS[i].bit;
    }
    return 0;
}
