/*
 * The planner's decisions about statements that were prepared before, by either protocol.
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
    const char *text;
    bool whole;
    const char *facts;
    enum plan_action action; /* without holds */
    const char *passed;
    bool all, keyspace, table; /* parked by each */
} prepared_cases[] = {
    {"select * from t where id = ?", true, "", PLAN_FORWARD, NULL, true, true, true},
    {"select * from u where id = ?", true, "", PLAN_FORWARD, NULL, true, true, false},
    {"select * from u where id in (?, ", false, "", PLAN_FORWARD, NULL, true, true, true},
    {"alter table t add c int", true, "", PLAN_MIGRATE, NULL, true, true, true},
    {"/*!50000 drop table t */", true, "", PLAN_MIGRATE, NULL, true, true, true},
    {"alter table t add c int", true, "s", PLAN_FORWARD, "strategy", true, true, true},
    {"alter table t add c int", true, "o", PLAN_FORWARD, "intercept_off", true, true, true},
    {"alter table t add", false, "", PLAN_FORWARD, "too_long", true, true, true},
    {"truncate table t", true, "", PLAN_FORWARD, "direct", true, true, true},
    {"explain drop table t", true, "", PLAN_EXPLAIN, NULL, true, false, false},
    {"explain drop table t", true, "o", PLAN_FORWARD, NULL, true, false, false},
    {"execute read", true, "", PLAN_FORWARD, NULL, true, true, true},
    {"commit", true, "", PLAN_FORWARD, NULL, false, false, false},
    {"set @a = ?", true, "", PLAN_FORWARD, NULL, true, false, false},
    {"", false, "", PLAN_FORWARD, NULL, true, true,
     true}, /* nothing was seen: it may be anything */
    {"/* a long comment", false, "", PLAN_FORWARD, NULL, true, true, true},
    {"", true, "", PLAN_FORWARD, NULL, false, false, false},
};

static void prepared_statements_are_planned(void **state)
{
    (void)state;
    struct hold_set *const sets[] = {all_held, keyspace_held, table_held};

    for (size_t i = 0; i < COUNT(prepared_cases); i++) {
        const bool want[] = {prepared_cases[i].all, prepared_cases[i].keyspace,
                             prepared_cases[i].table};
        struct plan_facts facts = make_facts(prepared_cases[i].facts, "ks", no_holds);
        struct prepared kept;
        char *text = strdup(prepared_cases[i].text);

        assert_non_null(text);
        prepared_init(&kept, text, strlen(text), prepared_cases[i].whole);
        free(text);
        struct plan p = plan_execute(&facts, &kept);
        if (p.action != prepared_cases[i].action || !is_same(p.passed, prepared_cases[i].passed))
            fail_msg("%s: %s, passed %s", prepared_cases[i].text, ACTIONS[p.action],
                     p.passed ? p.passed : "-");
        for (size_t k = 0; k < COUNT(sets); k++) {
            facts.holds = sets[k];
            facts.in_transaction = false;
            if ((plan_execute(&facts, &kept).action == PLAN_PARK) != want[k])
                fail_msg("%s: hold %zu", prepared_cases[i].text, k);
            facts.in_transaction = true;
            assert_int_not_equal(plan_execute(&facts, &kept).action, PLAN_PARK);
        }
        prepared_fini(&kept);
    }
}

static void an_unknown_statement_matches_every_hold(void **state)
{
    (void)state;
    struct hold_set *const sets[] = {all_held, keyspace_held, table_held};

    for (size_t k = 0; k < COUNT(sets); k++) {
        struct plan_facts facts = make_facts("", "elsewhere", sets[k]);

        assert_int_equal(plan_execute(&facts, NULL).action, PLAN_PARK);
        facts.in_transaction = true;
        assert_int_equal(plan_execute(&facts, NULL).action, PLAN_FORWARD);
    }
    struct plan_facts facts = make_facts("", "ks", no_holds);
    assert_int_equal(plan_execute(&facts, NULL).action, PLAN_FORWARD);
}

/* Of which the shim knows too little, for a user who may not control migrations. */
static void an_unknown_statement_may_control(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        bool denied;
    } cases[] = {
        {"select a, ", false}, {"alter table t add", false}, {"", true},
        {"/* long", true},     {"alter /* long", true},      {"revert", true},
    };
    struct plan_facts facts = make_facts("n", "ks", no_holds);

    assert_int_equal(plan_execute(&facts, NULL).action, PLAN_DENY);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prepared kept;

        prepared_init(&kept, cases[i].part, strlen(cases[i].part), false);
        facts.no_control = true;
        if ((plan_execute(&facts, &kept).action == PLAN_DENY) != cases[i].denied)
            fail_msg("%s", cases[i].part);
        facts.no_control = false;
        assert_int_not_equal(plan_execute(&facts, &kept).action, PLAN_DENY);
        prepared_fini(&kept);
    }
}

/* PREPARE s FROM '..': planned by what the literal means, or as unknown. */
static const struct {
    const char *prepare;
    const char *ddl; /* what EXECUTE migrates; NULL: nothing */
} literals[] = {
    {"prepare s from 'alter table t comment ''it''s'''", "alter table t comment 'it's'"},
    {"prepare s from 'alter table t comment \\'a\\\\nb\\''", "alter table t comment 'a\\nb'"},
    {"prepare s from \"alter table t comment \"\"x\"\"\"", "alter table t comment \"x\""},
    {"prepare s from \"alter table t comment ''\"", "alter table t comment ''"},
    {"prepare s from 'al\\ter table t add c int'", NULL}, /* a tab */
    {"prepare s from 'a\\lter table t add c int'", "alter table t add c int"},
    {"prepare s from '\\n\\talter\\ttable t add c int'", "alter\ttable t add c int"},
    {"prepare s from 'select 1'", NULL},
    {"prepare s from @v", NULL},
};

static void prepare_literal(struct prepared *p, struct sql_name body)
{
    char *text = calloc(1, body.len + 1);

    assert_non_null(text);
    size_t len = body.text ? lexer_unescape(text, body.text, body.len, body.text[-1]) : 0;
    prepared_init(p, text, len, body.text != NULL);
    free(text);
}

static void literals_are_prepared(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(literals); i++) {
        struct plan p = plan_of("r", "ks", no_holds, literals[i].prepare, true, false);
        struct plan_facts facts = make_facts("", "ks", no_holds);
        struct prepared kept;

        assert_int_equal(p.effect, EFFECT_PREPARE_NAMED);
        prepare_literal(&kept, p.body);
        p = plan_execute(&facts, &kept);
        struct sql_name st = {p.statement.text, p.statement.len};
        if ((p.action == PLAN_MIGRATE) != (literals[i].ddl != NULL) ||
            !is_name(st, literals[i].ddl))
            fail_msg("%s: %s, \"%.*s\"", literals[i].prepare, ACTIONS[p.action], (int)st.len,
                     st.text);
        if (strchr(literals[i].prepare, '@')) { /* nothing is known of it */
            facts.holds = table_held;
            facts.database = "elsewhere";
            assert_int_equal(plan_execute(&facts, &kept).action, PLAN_PARK);
        }
        prepared_fini(&kept);
    }
}

static void execute_without_a_lookup(void **state)
{
    (void)state;
    struct plan_facts facts = make_facts("", "ks", table_held);
    struct plan p = plan_text(&facts, "execute s", 9, true, false, false, NULL, NULL);

    assert_int_equal(p.action, PLAN_PARK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prepared_statements_are_planned),
        cmocka_unit_test(an_unknown_statement_matches_every_hold),
        cmocka_unit_test(an_unknown_statement_may_control),
        cmocka_unit_test(literals_are_prepared),
        cmocka_unit_test(execute_without_a_lookup),
    };
    return cmocka_run_group_tests(tests, make_sets, release_sets);
}
