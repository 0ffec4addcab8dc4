/*
 * What the planner parks, and what it can tell of a text before all of it is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/plan_cases.h"

static const struct {
    const char *facts, *text;
    bool all, keyspace, table; /* parked by each */
} parked[] = {
    {"", "select * from t", true, true, true},
    {"", "select * from u", true, true, false},
    {"", "alter table t add c int", true, true, true},
    {"", "prepare s from 'select 1'", true, true, false},
    {"p", "select * from t", true, true, true},
    {"", "begin", true, true, false},
    {"", "set @a=1", true, false, false},
    {"", "show tables", true, false, false},
    {"", "commit", false, false, false},
    {"", "rollback", false, false, false},
    {"", "kill 1", false, false, false},
    {"", "", false, false, false},
    {"", "alter vitess_migration 'x' complete", false, false, false},
    /* What they run counts; an unknown one may run anything. */
    {"", "execute read", true, true, true},
    {"", "execute ddl", true, true, true},
    {"", "execute nobody_knows", true, true, true},
    {"m", "select 1; execute nobody_knows", true, true, true},
    {"mo", "select 1; execute read", true, true, true},
    /* One of several is enough. */
    {"m", "set @a=1; select * from t", true, true, true},
    {"m", "commit; select 1", true, true, false},
    {"m", "commit; set @a=1", true, false, false},
    {"m", "select 1; select 2 from u", true, true, false},
};

static void holds_park(void **state)
{
    (void)state;
    struct hold_set *const sets[] = {all_held, keyspace_held, table_held};

    for (size_t i = 0; i < COUNT(parked); i++) {
        const bool want[] = {parked[i].all, parked[i].keyspace, parked[i].table};

        for (size_t k = 0; k < COUNT(sets); k++) {
            struct plan p = plan_of(parked[i].facts, "ks", sets[k], parked[i].text, true, false);
            char in_transaction[8];

            if ((p.action == PLAN_PARK) != want[k])
                fail_msg("[%s] %s: hold %zu: %s", parked[i].facts, parked[i].text, k,
                         ACTIONS[p.action]);
            assert_true(!want[k] || p.hold == &sets[k]->items[0]);
            snprintf(in_transaction, sizeof in_transaction, "t%s", parked[i].facts);
            p = plan_of(in_transaction, "ks", sets[k], parked[i].text, true, false);
            if (p.action == PLAN_PARK)
                fail_msg("parked in a transaction: %s", parked[i].text);
        }
    }
}

/* Parts of a text: what can be told before all of it is there. */

static const struct {
    const char *facts, *part;
    bool more;          /* wait for more, if more may come */
    const char *passed; /* if it may not */
} parts[] = {
    {"", "select a, b, ", false, NULL},
    {"", "insert into t values (", false, NULL},
    {"", "sel", true, NULL},
    {"", "", true, NULL},
    {"", "   ", true, NULL},
    {"", "/* a long comm", true, NULL},
    {"", "/* x */ /", true, NULL},
    {"", "-- x", true, NULL},
    {"", "alter table t add", true, "too_long"},
    {"", "truncate t", true, "direct"},
    {"", "set @a = '", true, NULL},
    {"", "prepare s from 'alter table t add", true, NULL},
    {"", "create procedure p() begin", true, "direct"},
    {"", "/*! ", true, NULL},
    {"p", "select a, b, ", true, NULL},
    {"m", "select a, b, ", true, NULL},
    {"m", "select 1; alter table t add", true, "too_long"},
    {"m", "alter table t add c int; select 1", true, "too_long"},
    {"s", "alter table t add", true, "strategy"},
    {"o", "alter table t add", true, "intercept_off"},
};

/* What a user who may not control migrations cannot hide behind the part that is looked at. */
static const struct {
    const char *facts, *part;
    bool denied;
} long_texts[] = {
    {"n", "select a, b, ", false},
    {"n", "insert into t values (", false},
    {"n", "set @a = '", false},
    {"n", "alter table t add", false},
    {"n", "create procedure p() begin", false},
    {"n", "prepare s from 'select", false}, /* its execution is what is denied */
    {"n", "", true},
    {"n", "/* a long comm", true},
    {"n", "alter /* a long comm", true},
    {"n", "alter", true},
    {"n", "alter vitess_migration /* a long comm", true},
    {"n", "revert /* a long comm", true},
    {"n", "/*!50000           ", true},
    {"n", "/*!50000 alter /* x */  ", true},
    {"np", "alter /* a long comm", false},
    {"nm", "select 1, ", true},
    {"", "alter /* a long comm", false},
    {"", "revert /* a long comm", false},
};

static void long_texts_hide_no_control(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(long_texts); i++) {
        const char *part = long_texts[i].part;
        struct plan p = plan_of(long_texts[i].facts, "ks", no_holds, part, false, false);

        if ((p.action == PLAN_DENY) != long_texts[i].denied)
            fail_msg("[%s] %s: %s", long_texts[i].facts, part, ACTIONS[p.action]);
    }
}

static void parts_wait_only_if_they_may_grow(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct plan grows = plan_of(parts[i].facts, "ks", no_holds, parts[i].part, false, true);
        struct plan ends = plan_of(parts[i].facts, "ks", no_holds, parts[i].part, false, false);
        struct plan whole = plan_of(parts[i].facts, "ks", no_holds, parts[i].part, true, true);

        if (grows.action != (parts[i].more ? PLAN_MORE : PLAN_FORWARD) || grows.passed)
            fail_msg("[%s] %s: %s", parts[i].facts, parts[i].part, ACTIONS[grows.action]);
        if (ends.action != PLAN_FORWARD || !is_same(ends.passed, parts[i].passed) || ends.body.text)
            fail_msg("[%s] %s, no more: %s, passed %s", parts[i].facts, parts[i].part,
                     ACTIONS[ends.action], ends.passed ? ends.passed : "-");
        if (whole.action == PLAN_MORE)
            fail_msg("[%s] %s, whole: waits", parts[i].facts, parts[i].part);
    }
}

static void parts_under_a_hold(void **state)
{
    (void)state;
    /* Which tables it is about is not known before the end. */
    struct plan p = plan_of("", "ks", table_held, "select * from u", false, true);
    assert_int_equal(p.action, PLAN_MORE);
    p = plan_of("", "ks", table_held, "select * from u", false, false);
    assert_int_equal(p.action, PLAN_PARK);
    p = plan_of("t", "ks", table_held, "select * from u", false, true);
    assert_int_equal(p.action, PLAN_FORWARD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holds_park, prepare_named, forget_named),
        cmocka_unit_test(parts_wait_only_if_they_may_grow),
        cmocka_unit_test(parts_under_a_hold),
        cmocka_unit_test(long_texts_hide_no_control),
    };
    return cmocka_run_group_tests(tests, make_sets, release_sets);
}
