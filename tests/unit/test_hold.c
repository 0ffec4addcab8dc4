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
        {{.scope = HOLD_VTGATE, .vtgate = "127.0.0.1:15306"}, "vtgate 127.0.0.1:15306"},
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

/* A hold of transactions holds their first statement on the table, and nothing else. */
static void a_hold_of_transactions_stops_new_ones_only(void **state)
{
    static const struct {
        bool in_transaction, autocommit;
        const char *touched; /* by the transaction; NULL: not known */
        const char *there;   /* where the session was then */
        const char *sql;
        bool held;
    } cases[] = {
        {false, true, NULL, "ks", "select * from t", false},
        {false, false, NULL, "ks", "select * from t", true}, /* it would begin one */
        {false, false, NULL, "ks", "select * from other", false},
        {true, true, "select * from other", "ks", "update t set a = 1", true},
        {true, true, "select * from other", "ks", "update third set a = 1", false},
        {true, true, "select * from t where id = 1", "ks", "update t set a = 1", false},
        {true, true, "select * from t where id = 1", "KS:-80@primary", "update t set a = 1", false},
        {true, true, "select * from t where id = 1", "", "update t set a = 1", false},
        {true, true, "select * from t where id = 1", "aside", "update t set a = 1", true},
        {true, true, "select * from `ks`.t where id = 1", "aside", "update t set a = 1", false},
        {true, true, "begin", "ks", "insert into t values (1)", true},
        {true, true, NULL, "ks", "update t set a = 1", false}, /* older than the tracking */
    };
    struct hold_set *set = hold_set_create(1);

    (void)state;
    set->items[0] = (struct hold){
        .scope = HOLD_TABLE, .kinds = HOLD_TRANSACTIONS, .keyspace = "ks", .table = "t"};
    hold_set_seal(set);
    assert_true(set->in_transactions);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct names names, begun, touched = {0};

        names_collect(&names, cases[i].sql, strlen(cases[i].sql), true);
        if (cases[i].touched) {
            names_collect(&begun, cases[i].touched, strlen(cases[i].touched), true);
            hold_touch(&touched, &begun, cases[i].there);
        }
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

/* What holds of some kinds do with each kind of statement: outside of a transaction with and
   without autocommit, and in a transaction that has not touched the table. */
static void kinds_limit_a_hold(void **state)
{
    enum { OUT = 1, NEW = 2, IN = 4 };
    static const struct {
        unsigned kinds;
        enum statement_kind kind;
        unsigned held;
    } cases[] = {
        {HOLD_READS, STATEMENT_READ, OUT | NEW | IN},
        {HOLD_READS, STATEMENT_WRITE, NEW | IN}, /* a transaction may read, too */
        {HOLD_READS, STATEMENT_BEGIN, OUT | NEW | IN},
        {HOLD_READS, STATEMENT_ONLINE_DDL, 0},
        {HOLD_READS, STATEMENT_OTHER, OUT | NEW | IN},
        {HOLD_WRITES, STATEMENT_READ, NEW | IN},
        {HOLD_WRITES, STATEMENT_WRITE, OUT | NEW | IN},
        {HOLD_WRITES, STATEMENT_LOCK, OUT | NEW | IN},
        {HOLD_TRANSACTIONS, STATEMENT_READ, NEW | IN},
        {HOLD_TRANSACTIONS, STATEMENT_WRITE, NEW | IN},
        {HOLD_TRANSACTIONS, STATEMENT_BEGIN, OUT | NEW | IN},
        {HOLD_TRANSACTIONS, STATEMENT_DIRECT_DDL, 0},
        {HOLD_TRANSACTIONS, STATEMENT_SHOW, 0},
        {HOLD_DDL, STATEMENT_ONLINE_DDL, OUT | NEW | IN},
        {HOLD_DDL, STATEMENT_VSCHEMA, OUT | NEW | IN},
        {HOLD_DDL, STATEMENT_WRITE, 0},
        {HOLD_DDL, STATEMENT_BEGIN, 0},
        {HOLD_READS | HOLD_DDL, STATEMENT_ONLINE_DDL, OUT | NEW | IN},
        {HOLD_EVERYTHING, STATEMENT_SET, 0},
        {HOLD_EVERYTHING, STATEMENT_END_TRANSACTION, 0},
    };
    struct hold_set *set = hold_set_create(1);
    struct names names, touched;

    (void)state;
    names_collect(&names, "x t", 3, true);
    names_collect(&touched, "x other", 7, true);
    for (size_t i = 0; i < COUNT(cases); i++) {
        set->items[0] = (struct hold){
            .scope = HOLD_TABLE, .kinds = cases[i].kinds, .keyspace = "ks", .table = "t"};
        hold_set_seal(set);
        for (unsigned when = OUT; when <= IN; when *= 2) {
            bool held = hold_set_find(set, &(struct hold_subject){.kind = cases[i].kind,
                                                                  .database = "ks",
                                                                  .names = &names,
                                                                  .in_transaction = when == IN,
                                                                  .autocommit = when != NEW,
                                                                  .touched = &touched}) != NULL;
            if (held != ((cases[i].held & when) != 0))
                fail_msg("kinds %u, %s, case %u: held %d", cases[i].kinds,
                         statement_kind_name(cases[i].kind), when, held);
        }
    }
    hold_set_release(set);
    /* Whose drain ends on a busy table only if it does not wait for a moment without statements. */
    assert_true(hold_stops_statements(&(struct hold){.kinds = 0}));
    assert_true(hold_stops_statements(&(struct hold){.kinds = HOLD_READS | HOLD_WRITES}));
    assert_false(hold_stops_statements(&(struct hold){.kinds = HOLD_WRITES | HOLD_DDL}));
    assert_false(hold_stops_statements(&(struct hold){.kinds = HOLD_TRANSACTIONS}));
}

/* A hold of everything: a transaction that is known not to have been there is stopped at its first
   statement there, one that has, or may have, goes on. */
static void transactions_that_have_not_touched_it_wait(void **state)
{
    static const struct {
        enum hold_scope scope;
        const char *before_db, *before; /* what the transaction did; NULL: nobody knows */
        const char *db, *sql;
        bool held;
    } cases[] = {
        {HOLD_TABLE, "ks", "begin", "ks", "update t set a = 1", true},
        {HOLD_TABLE, "ks", "select 1 from other", "ks", "delete from T", true},
        {HOLD_TABLE, "ks", "select 1 from other", "ks", "delete from third", false},
        {HOLD_TABLE, "ks", "select 1 from `t`", "ks", "update t set a = 1", false},
        {HOLD_TABLE, NULL, NULL, "ks", "update t set a = 1", false},
        {HOLD_TABLE, "t", "begin", "t", "update ks.t set a = 1", true}, /* a keyspace named t */
        {HOLD_KEYSPACE, "ks", "begin", "ks", "select 1 from u", false}, /* it began there */
        {HOLD_KEYSPACE, "other", "begin", "other", "select 1 from ks.u", true},
        {HOLD_KEYSPACE, "other", "begin", "KS@replica", "select 1 from u", true}, /* USE */
        {HOLD_KEYSPACE, "other", "select 1 from ks.u", "other", "select 1 from ks.u", false},
        {HOLD_KEYSPACE, NULL, "select 1 from u", "ks", "select 1 from u", false},
        {HOLD_KEYSPACE, "other", "begin", "other", "select 1 from u", false},
        {HOLD_ALL, "ks", "begin", "ks", "select 1 from u", false},
        {HOLD_VTGATE, "ks", "begin", "ks", "select 1 from u", false},
    };
    struct hold_set *set = hold_set_create(1);

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct names names, touched = {.everything = false};
        bool known = cases[i].before != NULL;

        if (known) {
            names_collect(&names, cases[i].before, strlen(cases[i].before), true);
            hold_touch(&touched, &names, cases[i].before_db);
        }
        names_collect(&names, cases[i].sql, strlen(cases[i].sql), true);
        set->items[0] =
            (struct hold){.scope = cases[i].scope, .keyspace = "ks", .table = "t", .vtgate = "a:1"};
        hold_set_seal(set);
        assert_int_equal(set->in_transactions,
                         cases[i].scope == HOLD_TABLE || cases[i].scope == HOLD_KEYSPACE);
        const struct hold_subject subject = {.kind = STATEMENT_WRITE,
                                             .database = cases[i].db,
                                             .vtgate = "a:1",
                                             .names = &names,
                                             .in_transaction = true,
                                             .autocommit = true,
                                             .touched = known ? &touched : NULL};
        bool held = hold_set_find(set, &subject) != NULL;

        if (held != cases[i].held)
            fail_msg("%zu: %s after %s", i, cases[i].sql, known ? cases[i].before : "nothing");
        /* Whoever it lets go on although it concerns him is in the way of it. */
        if (!held && cases[i].db && strcmp(cases[i].db, "other") != 0 &&
            !strstr(cases[i].sql, "third"))
            assert_true(hold_is_touched(&set->items[0], subject.touched));
    }
    hold_set_release(set);
}

static void a_vtgate_is_held(void **state)
{
    struct hold_set *set = hold_set_create(1);
    struct names names;

    (void)state;
    names_collect(&names, "show tables", 11, true);
    set->items[0] = (struct hold){.scope = HOLD_VTGATE, .vtgate = "a:1"};
    struct hold_subject subject = {.kind = STATEMENT_SHOW, .names = &names, .vtgate = "a:1"};

    assert_non_null(hold_set_find(set, &subject));
    subject.vtgate = "a:12";
    assert_null(hold_set_find(set, &subject));
    subject.vtgate = NULL;
    assert_non_null(hold_set_find(set, &subject));
    hold_set_release(set);
}

/* After a release newcomers wait once, outside of transactions, and not for ever. */
static void a_released_hold_stops_who_was_not_served(void **state)
{
    struct hold_set *set = hold_set_create(1);
    struct names names;

    (void)state;
    names_collect(&names, "select 1", 8, true);
    struct hold_subject subject = {.kind = STATEMENT_READ, .names = &names, .autocommit = true};

    set->items[0] = (struct hold){.id = 3, .scope = HOLD_ALL, .released = 5};
    subject.served = 4;
    assert_non_null(hold_set_find(set, &subject));
    subject.served = 5;
    assert_null(hold_set_find(set, &subject));
    subject.served = 0;
    subject.in_transaction = true;
    assert_null(hold_set_find(set, &subject));
    subject.in_transaction = false;
    assert_non_null(hold_set_find(set, &subject));
    set->items[0].leaving = true;
    assert_null(hold_set_find(set, &subject));
    assert_ptr_equal(hold_set_get(set, 3), &set->items[0]);
    assert_null(hold_set_get(set, 4));
    hold_set_release(set);
}

/* Out of touch with the fleet: nothing begins, also in a transaction, and everything can end. */
static void a_fence_lets_things_end(void **state)
{
    static const struct {
        enum statement_kind kind;
        bool in_transaction, held;
    } cases[] = {
        {STATEMENT_READ, false, true},   {STATEMENT_READ, true, true},
        {STATEMENT_BEGIN, false, true},  {STATEMENT_END_TRANSACTION, true, false},
        {STATEMENT_KILL, false, false},  {STATEMENT_SHOW, false, true},
        {STATEMENT_EMPTY, false, false}, {STATEMENT_MIGRATION, false, false},
    };
    struct names names;

    (void)state;
    names_collect(&names, "x", 1, true);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct hold_subject subject = {
            .kind = cases[i].kind, .names = &names, .in_transaction = cases[i].in_transaction};

        assert_ptr_equal(hold_fence(&subject), cases[i].held ? &HOLD_FENCE : NULL);
    }
}

static void the_same_hold_is_recognised(void **state)
{
    const struct hold a = {.scope = HOLD_TABLE,
                           .kinds = HOLD_READS,
                           .keyspace = "ks",
                           .table = "t",
                           .owner = "a@b",
                           .id = 1,
                           .connection = 7};
    struct hold b = a;

    (void)state;
    b.id = 2;
    b.connection = 0;
    b.max_wait_ms = 5;
    assert_true(hold_is_same(&a, &b));
    b.kinds = 0;
    assert_false(hold_is_same(&a, &b));
    b = a;
    b.table[0] = 'u';
    assert_false(hold_is_same(&a, &b));
    b = a;
    b.owner[0] = 'c';
    assert_false(hold_is_same(&a, &b));
}

/* The pace of a release: sums by hand. */
static void releases_are_paced(void **state)
{
    static const struct {
        int64_t rate, ramp_ms, elapsed_us;
        uint64_t want;
    } cases[] = {
        {100, 0, 0, 0},
        {100, 0, 10000, 1},
        {100, 0, 1000000, 100},
        {1000, 1000, 0, 0},
        {1000, 1000, 500000, 162}, /* 50 + 112.5 */
        {1000, 1000, 999999, 549},
        {1000, 1000, 1000000, 550},
        {1000, 1000, 2000000, 1550},
        {1, 0, 999999, 0},
        {1000000, 0, INT64_MAX, UINT64_C(1000000000000000)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(hold_pace(cases[i].rate, cases[i].ramp_ms, cases[i].elapsed_us),
                         cases[i].want);
}

static void kinds_are_written_and_read(void **state)
{
    static const struct {
        unsigned kinds;
        const char *want;
    } cases[] = {
        {0, "all"},
        {HOLD_WRITES, "writes"},
        {HOLD_READS | HOLD_DDL, "reads, ddl"},
        {HOLD_EVERYTHING, "reads, writes, transactions, ddl"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct hold h = {.kinds = cases[i].kinds};
        char text[HOLD_KINDS_MAX], cut[3];
        unsigned bits = 0;
        struct lexer lx;

        hold_format_kinds(&h, text, sizeof text);
        assert_string_equal(text, cases[i].want);
        hold_format_kinds(&h, cut, sizeof cut);
        assert_true(strlen(cut) <= 2);
        lexer_init(&lx, text, strlen(text));
        for (struct token t = lexer_next(&lx); t.kind != TOKEN_END; t = lexer_next(&lx))
            bits |= hold_kind_find(&t);
        assert_int_equal(bits, cases[i].kinds);
    }
}

static void tallies_outlive_their_sets(void **state)
{
    struct hold h = {.id = 1, .tally = hold_tally_create()};
    struct hold_set *one = hold_set_create(1), *two = hold_set_create(1);

    (void)state;
    hold_set_put(one, 0, &h);
    hold_set_put(two, 0, &one->items[0]);
    hold_tally_release(h.tally);
    hold_set_release(one);
    two->items[0].tally->parked = 3; /* still there; the sanitizer would tell */
    hold_set_release(two);
    hold_tally_release(NULL);
    assert_null(hold_tally_borrow(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_of_transactions_stops_new_ones_only),
        cmocka_unit_test(kinds_limit_a_hold),
        cmocka_unit_test(transactions_that_have_not_touched_it_wait),
        cmocka_unit_test(a_vtgate_is_held),
        cmocka_unit_test(a_released_hold_stops_who_was_not_served),
        cmocka_unit_test(the_same_hold_is_recognised),
        cmocka_unit_test(a_fence_lets_things_end),
        cmocka_unit_test(releases_are_paced),
        cmocka_unit_test(kinds_are_written_and_read),
        cmocka_unit_test(tallies_outlive_their_sets),
        cmocka_unit_test(each_kind_of_statement),
        cmocka_unit_test(each_target),
        cmocka_unit_test(unknown_names_match_every_table),
        cmocka_unit_test(the_first_that_matches_is_found),
        cmocka_unit_test(sets_are_counted),
        cmocka_unit_test(scopes_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
