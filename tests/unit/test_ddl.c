/* Literals, migration states and context tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "planner/ddl.h"

static void literals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *literal;
    } cases[] = {
        {"", "''"},          {"vitess --postpone-completion", "'vitess --postpone-completion'"},
        {"it's", "'it''s'"}, {"a\\b", "'a\\\\b'"},
        {"\\'", "'\\\\'''"}, {"\"`\n", "'\"`\n'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t text_len = strlen(cases[i].text), want = strlen(cases[i].literal);
        char got[64];
        assert_int_equal(ddl_quote(got, sizeof got, cases[i].text, text_len), want);
        assert_string_equal(got, cases[i].literal);
        assert_int_equal(ddl_quote(got, want + 1, cases[i].text, text_len), want); /* just fits */
        for (size_t size = 0; size <= want; size++) {
            memset(got, 'x', sizeof got);
            assert_int_equal(ddl_quote(got, size, cases[i].text, text_len), 0);
            assert_int_equal(got[0], size == 0 ? 'x' : '\0');
            assert_int_equal(got[size], 'x');
        }
    }
}

static void targets_are_used(void **state)
{
    static const struct {
        const char *target, *want;
    } cases[] = {
        {NULL, "USE"},
        {"", "USE"},
        {"commerce", "USE `commerce`"},
        {"commerce/-80", "USE `commerce/-80`"},
        {"a`b@replica", "USE `a``b@replica`"},
    };
    char got[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t fits = strlen(cases[i].want) + 1;

        assert_true(ddl_use(got, sizeof got, cases[i].target));
        assert_string_equal(got, cases[i].want);
        for (size_t size = 0; size < fits; size++)
            assert_false(ddl_use(got, size, cases[i].target));
    }
}

static void states_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum migration_status status;
    } cases[] = {
        {"requested", MIGRATION_REQUESTED},
        {"queued", MIGRATION_QUEUED},
        {"ready", MIGRATION_READY},
        {"running", MIGRATION_RUNNING},
        {"complete", MIGRATION_COMPLETE},
        {"failed", MIGRATION_FAILED},
        {"cancelled", MIGRATION_CANCELLED},
        {"COMPLETE", MIGRATION_COMPLETE},
        {"completed", MIGRATION_UNKNOWN},
        {"complet", MIGRATION_UNKNOWN},
        {"", MIGRATION_UNKNOWN},
        {"unknown", MIGRATION_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(migration_status_parse(cases[i].text, strlen(cases[i].text)),
                         cases[i].status);
    for (int s = MIGRATION_UNKNOWN; s <= MIGRATION_CANCELLED; s++) {
        const char *name = migration_status_name((enum migration_status)s);
        assert_int_equal(migration_status_parse(name, strlen(name)), s);
        assert_int_equal(migration_status_is_terminal((enum migration_status)s),
                         s == MIGRATION_COMPLETE || s == MIGRATION_FAILED ||
                             s == MIGRATION_CANCELLED);
    }
}

/* Each state by its letter: unknown reQuested Queued reaDy Running complete(C) Failed cancelled(X).
 */
static enum migration_status state_of(char letter)
{
    static const char letters[] = "uqQDRCFX";
    return (enum migration_status)(strchr(letters, letter) - letters);
}

static void many_states_as_one(void **state)
{
    (void)state;
    static const struct {
        const char *states;
        size_t expected;
        char whole;
        bool lost;
    } cases[] = {
        {"", 0, 'u', false},   {"", 2, 'q', false},   {"C", 1, 'C', false},  {"CC", 2, 'C', false},
        {"C", 2, 'q', false},  {"R", 2, 'q', false},  {"RC", 2, 'R', false}, {"CRQ", 3, 'Q', false},
        {"DR", 2, 'D', false}, {"uR", 2, 'u', false}, {"u", 2, 'u', false},  {"F", 1, 'F', true},
        {"FC", 2, 'F', true},  {"XC", 2, 'X', true},  {"XF", 2, 'F', true},  {"FX", 2, 'F', true},
        {"XX", 2, 'X', true},  {"FR", 2, 'R', true},  {"XQR", 3, 'Q', true}, {"F", 2, 'q', true},
        {"FCX", 3, 'F', true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum migration_status states[8];
        size_t n = strlen(cases[i].states);
        for (size_t k = 0; k < n; k++)
            states[k] = state_of(cases[i].states[k]);
        if (migration_status_aggregate(states, n, cases[i].expected) != state_of(cases[i].whole))
            fail_msg("%s of %zu", cases[i].states, cases[i].expected);
        assert_int_equal(migration_status_any_lost(states, n), cases[i].lost);
    }
}

static void context_tags(void **state)
{
    static const unsigned char zeros[8] = {0},
                               some[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    char tag[64];

    (void)state;
    ddl_context_format(tag, "0a0b0c0d", "0011223344556677", zeros);
    assert_string_equal(tag, "vtshim:0a0b0c0d:0011223344556677:0000000000000000");
    ddl_context_format(tag, "ffffffff", "ffffffffffffffff", some);
    assert_string_equal(tag, "vtshim:ffffffff:ffffffffffffffff:0123456789abcdef");
}

/* The same statement, however it is written; not another one, another user or keyspace. */
static void marks_in_options(void **state)
{
    (void)state;
    static const struct {
        const char *options, *instance; /* NULL: none */
        bool postponed;
    } cases[] = {
        {"", NULL, false},
        {"--postpone-completion", NULL, false},
        {"--postpone-completion #vtshim:0123456", NULL, false},
        {"--postpone-completion #vtshim:01234567", "01234567", false},
        {"--postpone-completion --allow-concurrent #mine #vtshim:89abcdef:postponed", "89abcdef",
         true},
        {"#vtshim:89abcdef:post", "89abcdef", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char instance[9] = "";
        bool postponed = false;

        assert_int_equal(
            ddl_mark_parse(cases[i].options, strlen(cases[i].options), instance, &postponed),
            cases[i].instance != NULL);
        if (cases[i].instance) {
            assert_string_equal(instance, cases[i].instance);
            assert_int_equal(postponed, cases[i].postponed);
        }
    }
    for (int postponed = 0; postponed < 2; postponed++) {
        char mark[40], instance[9];
        bool found;

        ddl_mark_format(mark, "01234567", postponed);
        assert_true(ddl_mark_parse(mark, strlen(mark), instance, &found));
        assert_int_equal(found, postponed);
        assert_string_equal(instance, "01234567");
    }
}

static void thresholds_in_options(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        unsigned seconds;
    } cases[] = {
        {"", 10},
        {"--postpone-completion", 10},
        {"--cut-over-threshold=7s", 7},
        {"--x --cut-over-threshold=30s --y", 30},
        {"--cut-over-threshold='12s'", 12},
        {"--cut-over-threshold=", 10},
        {"--cut-over-threshold=99999999999999999999s", 10},
        {"--cut-over-threshold=1m", 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ddl_threshold_s(cases[i].options, strlen(cases[i].options)),
                         cases[i].seconds);
    for (unsigned s = 5; s <= 30; s++) {
        unsigned postponed = ddl_threshold_postponed_s(s), now = ddl_threshold_now_s(s);

        assert_int_not_equal(postponed, s);
        assert_int_not_equal(now, s);
        assert_int_not_equal(now, postponed);
        assert_in_range(postponed, 5, 30); /* what vttablet takes */
        assert_in_range(now, 5, 30);
    }
}

static void digests_know_a_statement_again(void **state)
{
    static const struct {
        const char *user, *keyspace, *sql;
        bool same;
    } cases[] = {
        {"app", "commerce", "ALTER TABLE t ADD COLUMN c int", true},
        {"app", "commerce", " ALTER  TABLE\n t /* by the tool */ ADD COLUMN c int ;", true},
        {"app", "commerce", "-- again\nALTER TABLE t ADD COLUMN c int", true},
        {"app", "commerce", "ALTER TABLE t ADD COLUMN d int", false},
        {"app", "commerce", "ALTER TABLE t ADD COLUMN cint", false},
        {"dba", "commerce", "ALTER TABLE t ADD COLUMN c int", false},
        {"app", "other", "ALTER TABLE t ADD COLUMN c int", false},
        {"appc", "ommerce", "ALTER TABLE t ADD COLUMN c int", false},
    };
    char first[17], digest[17], instance[9], other[9];

    (void)state;
    ddl_digest_format(first, cases[0].user, cases[0].keyspace, cases[0].sql, strlen(cases[0].sql));
    assert_int_equal(strlen(first), 16);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ddl_digest_format(digest, cases[i].user, cases[i].keyspace, cases[i].sql,
                          strlen(cases[i].sql));
        if ((strcmp(first, digest) == 0) != cases[i].same)
            fail_msg("case %zu", i);
    }
    ddl_instance_format(instance, "host:3306");
    ddl_instance_format(other, "host:3307");
    assert_int_equal(strlen(instance), 8);
    assert_string_not_equal(instance, other);
}

/* The plan that vtgate explains: does it select the columns that the table has? */
static void plans_show_what_vtgate_knows(void **state)
{
    static const struct {
        const char *plan;
        const char *columns[4];
        bool shown;
    } cases[] = {
        {"{\"Query\": \"select id, `status` from demo\"}", {"id", "status"}, true},
        {"{\"FieldQuery\": \"select 1 from x\", \"Query\": \"select demo.id, demo.`a b` from "
         "demo\"}",
         {"id", "a b"},
         true},
        {"{\"Query\": \"select id from demo\"}", {"id", "added"}, false},
        {"{\"Query\": \"select id, dropped from demo\"}", {"id"}, false},
        {"{\"Query\": \"select id, old from demo\"}", {"id", "new"}, false},
        {"{\"Query\": \"select * from demo\"}", {"id", "added"}, true}, /* not tracked */
        {"{\"OperatorType\": \"Rows\"}", {"id"}, true},                 /* something else */
        {"{\"Query\": \"select id", {"id", "x"}, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sql_name columns[4];
        size_t n = 0;

        for (; n < 4 && cases[i].columns[n]; n++)
            columns[n] = (struct sql_name){cases[i].columns[n], strlen(cases[i].columns[n])};
        if (ddl_plan_selects(cases[i].plan, strlen(cases[i].plan), columns, n) != cases[i].shown)
            fail_msg("%s", cases[i].plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_show_what_vtgate_knows),
        cmocka_unit_test(literals),
        cmocka_unit_test(targets_are_used),
        cmocka_unit_test(states_by_name),
        cmocka_unit_test(many_states_as_one),
        cmocka_unit_test(context_tags),
        cmocka_unit_test(marks_in_options),
        cmocka_unit_test(thresholds_in_options),
        cmocka_unit_test(digests_know_a_statement_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
