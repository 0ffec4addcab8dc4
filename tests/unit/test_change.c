/*
 * Which statements a change concerns, for how long, and which errors tell of one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/change.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW      100000

static struct change_set *set_of(const struct change *t)
{
    struct change_set *set = calloc(1, sizeof(*set) + sizeof(*t));

    assert_non_null(set);
    set->n = 1;
    set->items[0] = *t;
    set->last_ms = t->ended_ms ? t->ended_ms : INT64_MAX;
    return set;
}

static enum change_state ask(const struct change *t, const char *database, const char *sql,
                             int64_t within_ms)
{
    struct change_set *set = set_of(t);
    const struct change *which = NULL;
    struct names names;
    struct change_subject subject = {.database = database, .names = sql ? &names : NULL};

    if (sql)
        names_collect(&names, sql, strlen(sql), true);
    enum change_state state = change_find(set, &subject, NOW, within_ms, &which);

    assert_true((which == &set->items[0]) == (state != CHANGE_NONE));
    free(set);
    return state;
}

static bool may_be(const struct change *t, const char *sql)
{
    struct change_set *set = set_of(t);
    struct names names;
    struct change_subject subject = {.database = "ks", .names = &names};

    names_collect(&names, sql, strlen(sql), true);
    bool may = change_may_be(set, &subject, NOW, 1000);

    free(set);
    return may;
}

/* What is known to change elsewhere explains nothing here; a suspicion alone is no knowledge. */
static void what_may_be_its_doing(void **state)
{
    struct change t = {.kind = CHANGE_VSCHEMA, .source = CHANGE_VTGATE, .keyspace = "ks"};

    (void)state;
    change_add_table(&t, "t", 1);
    assert_true(may_be(&t, "SELECT * FROM t"));
    assert_false(may_be(&t, "SELECT * FROM u"));
    t.ended_ms = NOW - 1001;
    assert_true(may_be(&t, "SELECT * FROM u"));
    t.ended_ms = NOW - 999;
    assert_false(may_be(&t, "SELECT * FROM u"));
    t.source = CHANGE_ERROR;
    assert_true(may_be(&t, "SELECT * FROM u"));
}

static void time_counts(void **state)
{
    struct change t = {.kind = CHANGE_VSCHEMA};

    (void)state;
    assert_int_equal(ask(&t, "ks", "SELECT 1", 0), CHANGE_UNDER_WAY);
    t.ended_ms = NOW - 500;
    assert_int_equal(ask(&t, "ks", "SELECT 1", 1000), CHANGE_RECENT);
    assert_int_equal(ask(&t, "ks", "SELECT 1", 499), CHANGE_NONE);
}

static const struct {
    const char *keyspace, *table, *database, *sql;
    bool concerned;
} CASES[] = {
    {"", "", "ks", "SELECT 1", true},
    {"ks", "", "ks", "SELECT 1", true},
    {"ks", "", "KS@replica", "SELECT 1", true},
    {"ks", "", "other", "SELECT 1", false},
    {"ks", "", "other", "SELECT * FROM ks.t", true},
    {"ks", "", "", "SELECT 1", true},
    {"ks", "", NULL, "SELECT 1", true},
    {"ks", "t", "ks", "SELECT * FROM `T`", true},
    {"ks", "t", "ks", "SELECT * FROM u", false},
    {"ks", "t", "other", "SELECT * FROM t", false},
    {"ks", "t", "ks", NULL, true},
};

static void names_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct change t = {.kind = CHANGE_SCHEMA};

        strcpy(t.keyspace, CASES[i].keyspace);
        if (*CASES[i].table)
            change_add_table(&t, CASES[i].table, strlen(CASES[i].table));
        if ((ask(&t, CASES[i].database, CASES[i].sql, 0) != CHANGE_NONE) != CASES[i].concerned)
            fail_msg("case %zu", i);
    }
}

static void too_many_tables_are_all(void **state)
{
    struct change t = {.kind = CHANGE_SCHEMA};
    char name[16];

    (void)state;
    for (int i = 0; i < CHANGE_TABLES; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        change_add_table(&t, name, strlen(name));
    }
    assert_int_equal(ask(&t, "ks", "SELECT * FROM t7", 0), CHANGE_UNDER_WAY);
    assert_int_equal(ask(&t, "ks", "SELECT * FROM other", 0), CHANGE_NONE);
    for (int i = 0; i < 3; i++)
        change_add_table(&t, "more", 4);
    assert_int_equal(ask(&t, "ks", "SELECT * FROM other", 0), CHANGE_UNDER_WAY);
}

static const struct {
    uint16_t code;
    const char *text;
    bool suspected;
    enum change_kind kind;
} ERRORS[] = {
    {1173, "table 'demo' does not have a primary vindex", true, CHANGE_VSCHEMA},
    {1105, "VT05003: unknown database 'x' in vschema", true, CHANGE_VSCHEMA},
    {1105,
     "target: ks.-80.primary: vttablet: rpc error: disallowed due to rule: enforce denied tables",
     true, CHANGE_SERVING},
    {1105, "operation not allowed in state NOT_SERVING", true, CHANGE_SERVING},
    {1105, "Current keyspace is being RESHARDED", true, CHANGE_SERVING},
    {1290, "The MySQL server is running with the --super-read-only option", true, CHANGE_SERVING},
    {1105, "The MySQL server is running with the --super-read-only option", false, 0},
    {1062, "Duplicate entry 'x' for key 'PRIMARY'", false, 0},
    {1064, "syntax error", false, 0},
    {1105, "", false, 0},
};

static void errors_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ERRORS); i++) {
        enum change_kind kind = CHANGE_KIND_COUNT;
        bool suspected =
            change_suspected(ERRORS[i].code, ERRORS[i].text, strlen(ERRORS[i].text), &kind);

        if (suspected != ERRORS[i].suspected || (suspected && kind != ERRORS[i].kind))
            fail_msg("%s", ERRORS[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_counts),           cmocka_unit_test(what_may_be_its_doing),
        cmocka_unit_test(names_count),           cmocka_unit_test(too_many_tables_are_all),
        cmocka_unit_test(errors_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
