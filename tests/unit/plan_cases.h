/*
 * For tests of the planner's decisions: how a session stands, in letters, and holds to choose from.
 * Include behind cmocka.h.
 *
 *   facts      letters: m the client may send several statements, t in a transaction, s it chose
 *              its own ddl_strategy, o ddl.intercept is off, n it may not control migrations,
 *              v ALTER VSCHEMA is a transition, c one is being collected, r a variable's value is
 *              known, p COM_STMT_PREPARE
 *   database   the session's target
 */
#ifndef VTSHIM_TESTS_UNIT_PLAN_CASES_H
#define VTSHIM_TESTS_UNIT_PLAN_CASES_H

#include <string.h>

#include "planner/plan.h"

#include "planner/plan.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const ACTIONS[] = {"FORWARD",    "MORE", "PARK",   "MIGRATE",
                                      "EXPLAIN",    "WRAP", "SCRIPT", "RESOLVE",
                                      "TRANSITION", "KILL", "DENY"};

static struct hold_set *no_holds, *all_held, *keyspace_held, *table_held; /* of ks, ks.t */

static inline struct hold_set *make_set(enum hold_scope scope)
{
    struct hold_set *set = hold_set_create(1);

    set->items[0] = (struct hold){.scope = scope, .keyspace = "ks", .table = "t"};
    return set;
}

static inline int make_sets(void **state)
{
    (void)state;
    no_holds = hold_set_create(0);
    all_held = make_set(HOLD_ALL);
    keyspace_held = make_set(HOLD_KEYSPACE);
    table_held = make_set(HOLD_TABLE);
    return 0;
}

static inline int release_sets(void **state)
{
    (void)state;
    hold_set_release(no_holds);
    hold_set_release(all_held);
    hold_set_release(keyspace_held);
    hold_set_release(table_held);
    return 0;
}

/* Statements of the text protocol: "ddl", "read", "use", "own"; anything else is unknown. */
static struct prepared named[5];
static const struct {
    const char *name, *text;
} NAMED[] = {
    {"ddl", "alter table t add d int"},
    {"read", "select * from t"},
    {"use", "use other"},
    {"own", "set ddl_strategy='online'"},
    {"control", "alter vitess_migration 'x' retry"},
};

static inline const struct prepared *find_named(void *arg, struct sql_name name)
{
    (void)arg;
    for (size_t i = 0; i < COUNT(NAMED); i++) {
        if (name.len == strlen(NAMED[i].name) && memcmp(name.text, NAMED[i].name, name.len) == 0)
            return &named[i];
    }
    return NULL;
}

static inline int prepare_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(NAMED); i++)
        prepared_init(&named[i], NAMED[i].text, strlen(NAMED[i].text), true);
    return 0;
}

static inline int forget_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(NAMED); i++)
        prepared_fini(&named[i]);
    return 0;
}

static inline struct plan_facts make_facts(const char *letters, const char *database,
                                           const struct hold_set *holds)
{
    return (struct plan_facts){
        .database = database,
        .holds = holds,
        .in_transaction = strchr(letters, 't') != NULL,
        .multi_statements = strchr(letters, 'm') != NULL,
        .strategy_own = strchr(letters, 's') != NULL,
        .intercept = strchr(letters, 'o') == NULL,
        .no_control = strchr(letters, 'n') != NULL,
        .transitions = strchr(letters, 'v') != NULL,
        .collecting = strchr(letters, 'c') != NULL,
        .resolved = strchr(letters, 'r') != NULL,
    };
}

static inline bool is_plain(const struct plan_facts *facts, const char *text)
{
    return facts->holds->n == 0 && !facts->collecting && !facts->fenced &&
           plan_is_plain(facts->multi_statements, text, strlen(text));
}

static inline struct plan plan_of(const char *letters, const char *database,
                                  const struct hold_set *holds, const char *text, bool whole,
                                  bool may_grow)
{
    struct plan_facts facts = make_facts(letters, database, holds);
    bool prepare = strchr(letters, 'p') != NULL;
    struct plan p =
        plan_text(&facts, text, strlen(text), whole, may_grow, prepare, find_named, NULL);

    /* The short way must never lead past something. */
    if (whole && !prepare && is_plain(&facts, text) &&
        (p.action != PLAN_FORWARD || p.effect != EFFECT_NONE || p.passed))
        fail_msg("[%s] %s is not plain", letters, text);
    return p;
}

static inline bool is_name(struct sql_name n, const char *want)
{
    return want ? n.len == strlen(want) && memcmp(n.text, want, n.len) == 0 : n.len == 0;
}

static inline bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

#endif
