/* Which statement waits for which hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "planner/hold.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct hold_set *make_set(enum hold_scope scope, const char *keyspace, const char *table)
{
    struct hold_set *set = hold_set_create(1);

    set->items[0].scope = scope;
    snprintf(set->items[0].keyspace, HOLD_NAME_MAX, "%s", keyspace);
    snprintf(set->items[0].table, HOLD_NAME_MAX, "%s", table);
    return set;
}

static bool waits(const struct hold_set *set, enum statement_kind kind, const char *database,
                  const char *sql)
{
    struct names names;

    names_collect(&names, sql, strlen(sql), true);
    return hold_set_find(set, &(struct hold_subject){
                                  .kind = kind, .database = database, .names = &names}) != NULL;
}

/* Each kind of statement, on the held table of the held keyspace. */
static const struct {
    enum statement_kind kind;
    bool all, keyspace, table;
} kinds[] = {
    {STATEMENT_READ, true, true, true},         {STATEMENT_WRITE, true, true, true},
    {STATEMENT_BEGIN, true, true, true},        {STATEMENT_OTHER, true, true, true},
    {STATEMENT_ONLINE_DDL, true, true, true},   {STATEMENT_DIRECT_DDL, true, true, true},
    {STATEMENT_VSCHEMA, true, true, true},      {STATEMENT_PREPARE, true, true, true},
    {STATEMENT_EXECUTE, true, true, true},      {STATEMENT_LOCK, true, true, true},
    {STATEMENT_SET, true, false, false},        {STATEMENT_USE, true, false, false},
    {STATEMENT_SHOW, true, false, false},       {STATEMENT_EXPLAIN_DDL, true, false, false},
    {STATEMENT_EMPTY, false, false, false},     {STATEMENT_END_TRANSACTION, false, false, false},
    {STATEMENT_SAVEPOINT, false, false, false}, {STATEMENT_KILL, false, false, false},
    {STATEMENT_MIGRATION, false, false, false}, {STATEMENT_DEALLOCATE, false, false, false},
};

static void each_kind_of_statement(void **state)
{
    (void)state;
    struct hold_set *all = make_set(HOLD_ALL, "", "");
    struct hold_set *keyspace = make_set(HOLD_KEYSPACE, "commerce", "");
    struct hold_set *table = make_set(HOLD_TABLE, "commerce", "demo");
    struct hold_set *none = hold_set_create(0);

    assert_int_equal(COUNT(kinds), STATEMENT_KILL + 1);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const char *name = statement_kind_name(kinds[i].kind);

        if (waits(all, kinds[i].kind, "commerce", "x demo") != kinds[i].all ||
            waits(keyspace, kinds[i].kind, "commerce", "x demo") != kinds[i].keyspace ||
            waits(table, kinds[i].kind, "commerce", "x demo") != kinds[i].table ||
            waits(none, kinds[i].kind, "commerce", "x demo"))
            fail_msg("%s", name);
    }
    hold_set_release(all);
    hold_set_release(keyspace);
    hold_set_release(table);
    hold_set_release(none);
}

/* The session's target and the statement, against KEYSPACE commerce and TABLE commerce.demo. */
static const struct {
    const char *database, *sql;
    bool keyspace, table;
} targets[] = {
    {"commerce", "select * from demo", true, true},
    {"commerce", "select * from other", true, false},
    {"commerce", "select * from `demo`", true, true},
    {"commerce", "select * from DEMO", true, true},
    {"commerce", "select * from demo2", true, false},
    {"commerce", "select 'demo'", true, false},
    {"commerce", "insert into other select * from x.demo", true, true}, /* too much is safe */
    {"COMMERCE", "select * from demo", true, true},
    {"commerce:-80", "select * from demo", true, true},
    {"commerce/-80", "select * from demo", true, true},
    {"commerce@replica", "select * from demo", true, true},
    {"commerce:-80@replica", "select * from demo", true, true},
    {"commerce[00]", "select * from demo", true, true},
    {"commerce2", "select * from demo", false, false},
    {"comm", "select * from demo", false, false},
    {"customer", "select * from demo", false, false},
    {"customer", "select * from commerce.demo", true, true},
    {"customer", "select * from `Commerce`.`Demo`", true, true},
    {"customer", "select * from commerce.other", true, false},
    {"customer@replica", "select * from demo", false, false},
    /* No keyspace: vtgate looks the table up in all of them. */
    {NULL, "select * from demo", true, true},
    {"", "select * from demo", true, true},
    {"@replica", "select * from demo", true, true},
    {"@primary", "select * from other", true, false},
    {NULL, "select 1", true, false},
};

static void each_target(void **state)
{
    (void)state;
    struct hold_set *keyspace = make_set(HOLD_KEYSPACE, "commerce", "");
    struct hold_set *table = make_set(HOLD_TABLE, "commerce", "demo");

    for (size_t i = 0; i < COUNT(targets); i++) {
        bool k = waits(keyspace, STATEMENT_READ, targets[i].database, targets[i].sql);
        bool t = waits(table, STATEMENT_READ, targets[i].database, targets[i].sql);

        if (k != targets[i].keyspace || t != targets[i].table)
            fail_msg("%s: %s: keyspace %d, table %d",
                     targets[i].database ? targets[i].database : "NULL", targets[i].sql, k, t);
    }
    hold_set_release(keyspace);
    hold_set_release(table);
}

static void unknown_names_match_every_table(void **state)
{
    (void)state;
    static const struct names everything = {.everything = true};
    struct hold_set *set = make_set(HOLD_TABLE, "commerce", "demo");

    /* An unknown text may name another keyspace than the session's. */
    assert_non_null(hold_set_find(set, &(struct hold_subject){.kind = STATEMENT_OTHER,
                                                              .database = "customer",
                                                              .names = &everything}));
    hold_set_release(set);
}

static void the_first_that_matches_is_found(void **state)
{
    (void)state;
    struct hold_set *set = hold_set_create(4);
    struct names names;

    set->items[0] = (struct hold){.id = 1, .scope = HOLD_TABLE, .keyspace = "a", .table = "t"};
    set->items[1] = (struct hold){.id = 2, .scope = HOLD_KEYSPACE, .keyspace = "b"};
    set->items[2] = (struct hold){.id = 3, .scope = HOLD_KEYSPACE, .keyspace = "a"};
    set->items[3] = (struct hold){.id = 4, .scope = HOLD_ALL};
    names_collect(&names, "select * from t", 15, true);
    static const struct {
        const char *database;
        enum statement_kind kind;
        uint64_t id;
    } cases[] = {
        {"a", STATEMENT_READ, 1}, {"b", STATEMENT_READ, 2},  {"c", STATEMENT_READ, 4},
        {"a", STATEMENT_SET, 4},  {NULL, STATEMENT_READ, 1},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct hold *h = hold_set_find(
            set, &(struct hold_subject){
                     .kind = cases[i].kind, .database = cases[i].database, .names = &names});

        assert_non_null(h);
        assert_true(h->id == cases[i].id);
    }
    hold_set_release(set);
}

static void sets_are_counted(void **state)
{
    (void)state;
    struct hold_set *set = hold_set_create(3);

    for (size_t i = 0; i < 3; i++)
        assert_true(set->items[i].id == 0 && set->items[i].table[0] == '\0');
    assert_ptr_equal(hold_set_borrow(set), set);
    hold_set_release(set);
    set->items[2].id = 7; /* still there; the sanitizer would tell */
    hold_set_release(set);
    hold_set_release(NULL);
}

static void scopes_are_written(void **state)
{
    (void)state;
    static const struct {
        struct hold hold;
        const char *want;
    } cases[] = {
        {{.scope = HOLD_ALL}, "all"},
        {{.scope = HOLD_KEYSPACE, .keyspace = "commerce"}, "keyspace commerce"},
        {{.scope = HOLD_TABLE, .keyspace = "commerce", .table = "demo"}, "table commerce.demo"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char whole[200], cut[6];

        hold_format_scope(&cases[i].hold, whole, sizeof whole);
        assert_string_equal(whole, cases[i].want);
        hold_format_scope(&cases[i].hold, cut, sizeof cut);
        assert_int_equal(strncmp(cut, cases[i].want, 5), 0);
        assert_true(strlen(cut) <= 5);
    }
}

/* A cut-over holds the first statement of a transaction on the table, and nothing else. */
static void a_cutover_concerns_new_transactions_only(void **state)
{
    static const struct {
        bool in_transaction, autocommit;
        const char *touched; /* by the transaction; NULL: not known */
        const char *sql;
        bool held;
    } cases[] = {
        {false, true, NULL, "select * from t", false},
        {false, false, NULL, "select * from t", true}, /* it would begin one */
        {false, false, NULL, "select * from other", false},
        {true, true, "select * from other", "update t set a = 1", true},
        {true, true, "select * from other", "update third set a = 1", false},
        {true, true, "select * from t where id = 1", "update t set a = 1", false},
        {true, true, "begin", "insert into t values (1)", true},
        {true, true, NULL, "update t set a = 1", false}, /* older than the tracking */
    };
    struct hold_set *set = hold_set_create(1);

    (void)state;
    set->cutover = true;
    set->items[0] =
        (struct hold){.scope = HOLD_TABLE, .cutover = true, .keyspace = "ks", .table = "t"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct names names, touched;

        names_collect(&names, cases[i].sql, strlen(cases[i].sql), true);
        if (cases[i].touched)
            names_collect(&touched, cases[i].touched, strlen(cases[i].touched), true);
        bool held = hold_set_find(set, &(struct hold_subject){
                                           .kind = STATEMENT_WRITE,
                                           .database = "ks",
                                           .names = &names,
                                           .in_transaction = cases[i].in_transaction,
                                           .autocommit = cases[i].autocommit,
                                           .touched = cases[i].touched ? &touched : NULL,
                                       }) != NULL;
        if (held != cases[i].held)
            fail_msg("%s after %s", cases[i].sql, cases[i].touched ? cases[i].touched : "nothing");
    }
    hold_set_release(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cutover_concerns_new_transactions_only),
        cmocka_unit_test(each_kind_of_statement),
        cmocka_unit_test(each_target),
        cmocka_unit_test(unknown_names_match_every_table),
        cmocka_unit_test(the_first_that_matches_is_found),
        cmocka_unit_test(sets_are_counted),
        cmocka_unit_test(scopes_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
