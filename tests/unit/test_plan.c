/*
 * The planner's decisions: a text, how the session stands (plan_cases.h), and what is expected.
 * Under holds: test_plan_holds.c; of prepared statements: test_plan_prepared.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "planner/target.h"
#include "tests/unit/plan_cases.h"

/* DDL in all its hiding places: managed, run one by one, or passed for a reason. */

static const struct {
    const char *facts, *text;
    enum plan_action action;
    const char *statement; /* MIGRATE */
    const char *passed;
} ddl[] = {
    {"", "alter table t add c int", PLAN_MIGRATE, "alter table t add c int", NULL},
    {"", "ALTER TABLE t ADD c INT;", PLAN_MIGRATE, "ALTER TABLE t ADD c INT", NULL},
    {"", "  \n\tAlTeR TaBlE t add c int ; ; -- x", PLAN_MIGRATE, "AlTeR TaBlE t add c int ", NULL},
    {"", "create table t (a int)", PLAN_MIGRATE, "create table t (a int)", NULL},
    {"", "drop table if exists t", PLAN_MIGRATE, "drop table if exists t", NULL},
    {"", "create index i on t (a)", PLAN_MIGRATE, "create index i on t (a)", NULL},
    {"", "drop index i on t", PLAN_MIGRATE, "drop index i on t", NULL},
    {"", "create or replace view v as select 1", PLAN_MIGRATE,
     "create or replace view v as select 1", NULL},
    {"", "/* x */ alter table t add c int", PLAN_MIGRATE, "/* x */ alter table t add c int", NULL},
    {"", "-- x\nalter table t add c int", PLAN_MIGRATE, "-- x\nalter table t add c int", NULL},
    {"", "# x\nalter table t add c int", PLAN_MIGRATE, "# x\nalter table t add c int", NULL},
    {"", "/*!50000 alter table t add c int */", PLAN_MIGRATE, "/*!50000 alter table t add c int */",
     NULL},
    {"", "/*! alter */ table t add c int", PLAN_MIGRATE, "/*! alter */ table t add c int", NULL},
    {"", "alter/**/table t add c int", PLAN_MIGRATE, "alter/**/table t add c int", NULL},
    {"t", "alter table t add c int", PLAN_MIGRATE, "alter table t add c int", NULL},
    {"m", "alter table t add c int", PLAN_MIGRATE, "alter table t add c int", NULL},
    {"m", "alter table t add c int;;", PLAN_MIGRATE, "alter table t add c int", NULL},

    /* Among others. */
    {"m", "select 1; alter table t add c int", PLAN_SCRIPT, NULL, NULL},
    {"m", "alter table t add c int; select 1", PLAN_SCRIPT, NULL, NULL},
    {"m", "; alter table t add c int", PLAN_SCRIPT, NULL, NULL},
    {"m", "select ';'; /* ; */ drop table t", PLAN_SCRIPT, NULL, NULL},
    {"m", "select 1 /*! ; alter table t add c int */", PLAN_SCRIPT, NULL, NULL},
    {"m", "set @a = 1; execute ddl", PLAN_SCRIPT, NULL, NULL},
    {"m", "select 1; execute nobody_knows", PLAN_SCRIPT, NULL, NULL},
    {"m", "prepare s from 'drop table t'; execute s", PLAN_SCRIPT, NULL, NULL},
    {"m", "select 1; deallocate prepare ddl", PLAN_SCRIPT, NULL, NULL},
    {"m", "use other; select 1", PLAN_SCRIPT, NULL, NULL},
    {"m", "set ddl_strategy='online'; select 1", PLAN_SCRIPT, NULL, NULL},
    {"m", "set global ddl_strategy='online'; select 1", PLAN_FORWARD, NULL, NULL},
    {"m", "select 1; select 2", PLAN_FORWARD, NULL, NULL},
    {"m", "select 'alter table t'; select 2", PLAN_FORWARD, NULL, NULL},
    {"m", "begin; insert into t values (1); commit", PLAN_FORWARD, NULL, NULL},
    {"m", "select 1; truncate table t", PLAN_SCRIPT, NULL, NULL},
    {"m", "explain drop table t; select 1", PLAN_SCRIPT, NULL, NULL},
    {"mo", "select 1; truncate table t", PLAN_FORWARD, NULL, "intercept_off"},
    {"mo", "select 1; alter table t add c int", PLAN_FORWARD, NULL, NULL},
    {"mo", "select 1; execute ddl", PLAN_FORWARD, NULL, NULL},
    {"mo", "select 1; use other", PLAN_SCRIPT, NULL, NULL},
    /* A client that may not send several: vtgate refuses all of it. */
    {"", "alter table t add c int; select 1", PLAN_FORWARD, NULL, "several"},
    {"", "select 1; alter table t add c int", PLAN_FORWARD, NULL, NULL},

    /* Prepared: COM_STMT_PREPARE goes to vtgate, its execution is managed. */
    {"p", "alter table t add c int", PLAN_FORWARD, NULL, NULL},
    {"pm", "alter table t add c int; select 1", PLAN_FORWARD, NULL, NULL},
    {"", "execute ddl", PLAN_MIGRATE, "alter table t add d int", NULL},
    {"", "/* x */ EXECUTE `ddl`;", PLAN_MIGRATE, "alter table t add d int", NULL},
    {"s", "execute ddl", PLAN_FORWARD, NULL, "strategy"},
    {"o", "execute ddl", PLAN_FORWARD, NULL, "intercept_off"},
    {"", "execute read", PLAN_FORWARD, NULL, NULL},
    {"", "execute nobody_knows", PLAN_FORWARD, NULL, NULL},

    /* Passed, and why. */
    {"o", "alter table t add c int", PLAN_FORWARD, NULL, "intercept_off"},
    {"o", "truncate table t", PLAN_FORWARD, NULL, "intercept_off"},
    {"os", "alter table t add c int", PLAN_FORWARD, NULL, "intercept_off"},
    {"s", "alter table t add c int", PLAN_FORWARD, NULL, "strategy"},
    {"s", "truncate table t", PLAN_FORWARD, NULL, "direct"},
    {"", "rename table t to u", PLAN_FORWARD, NULL, "direct"},
    {"", "create temporary table t (a int)", PLAN_FORWARD, NULL, "direct"},
    {"", "create database d", PLAN_FORWARD, NULL, "direct"},
    {"", "create procedure p() begin select 1; drop table t; end", PLAN_FORWARD, NULL, "direct"},

    /* Control of migrations. */
    {"", "alter vitess_migration 'x' cancel", PLAN_FORWARD, "alter vitess_migration 'x' cancel",
     NULL},
    {"n", "alter vitess_migration 'x' cancel", PLAN_DENY, "alter vitess_migration 'x' cancel",
     NULL},
    {"n", "/* x */ REVERT vitess_migration 'x';", PLAN_DENY, "/* x */ REVERT vitess_migration 'x'",
     NULL},
    {"n", "/*!50000 revert vitess_migration 'x' */", PLAN_DENY,
     "/*!50000 revert vitess_migration 'x' */", NULL},
    {"n", "alter vitess_migration 'x' cancel; select 1", PLAN_DENY,
     "alter vitess_migration 'x' cancel", NULL},
    {"nm", "select 1; alter vitess_migration 'x' cancel", PLAN_SCRIPT, NULL, NULL},
    {"nmo", "select 1; alter vitess_migration 'x' cancel", PLAN_SCRIPT, NULL, NULL},
    {"n", "execute control", PLAN_DENY, "alter vitess_migration 'x' retry", NULL},
    {"", "execute control", PLAN_FORWARD, "alter vitess_migration 'x' retry", NULL},
    {"np", "alter vitess_migration 'x' cancel", PLAN_FORWARD, NULL, NULL},

    /* No DDL at all. */
    {"", "select * from t", PLAN_FORWARD, NULL, NULL},
    {"", "insert into t values ('alter table t')", PLAN_FORWARD, NULL, NULL},
    {"", "explain alter table t add c int", PLAN_EXPLAIN, "explain alter table t add c int", NULL},
    {"p", "revert vitess_migration 'u'", PLAN_WRAP, "revert vitess_migration 'u'", NULL},
    {"p", "revert vitess_migration 'u' /* again */", PLAN_FORWARD, NULL, NULL},
    {"p", "alter vitess_migration 'u' complete", PLAN_FORWARD, NULL, NULL},
    {"p", "explain alter table t add c int", PLAN_EXPLAIN, "explain alter table t add c int", NULL},
    {"s", "explain alter table t add c int", PLAN_EXPLAIN, "explain alter table t add c int", NULL},
    {"o", "explain alter table t add c int", PLAN_FORWARD, NULL, NULL},
    {"", "explain select 1", PLAN_FORWARD, NULL, NULL},
    {"", "alter vschema add table t", PLAN_FORWARD, NULL, NULL},
    {"n", "alter vschema add table t", PLAN_FORWARD, NULL, NULL},
    {"n", "show vitess_migrations", PLAN_FORWARD, NULL, NULL},
    {"n", "select 'alter vitess_migration'", PLAN_FORWARD, NULL, NULL},
    {"n", "alter table t add c int", PLAN_MIGRATE, "alter table t add c int", NULL},
    {"v", "alter vschema add table t", PLAN_TRANSITION, "alter vschema add table t", NULL},
    {"v", "begin transition ks", PLAN_TRANSITION, "begin transition ks", NULL},
    {"v", "begin", PLAN_FORWARD, NULL, NULL},
    {"vc", "commit transition", PLAN_TRANSITION, "commit transition", NULL},
    {"vc", "ROLLBACK TRANSITION;", PLAN_TRANSITION, "ROLLBACK TRANSITION", NULL},
    {"vc", "commit", PLAN_FORWARD, NULL, NULL},
    {"vc", "rollback to savepoint transition", PLAN_FORWARD, NULL, NULL},
    {"vp", "alter vschema add table t", PLAN_FORWARD, NULL, NULL},
    {"vm", "begin transition ks; alter vschema drop table t; commit transition", PLAN_SCRIPT, NULL,
     NULL},
    {"", "begin transition ks", PLAN_FORWARD, NULL, NULL},
    {"", "/*!99999 alter table t add c int */", PLAN_FORWARD, NULL, NULL},
    {"", "/* alter table t add c int */", PLAN_FORWARD, NULL, NULL},
    {"", "", PLAN_FORWARD, NULL, NULL},
    {"m", ";;;", PLAN_FORWARD, NULL, NULL},
};

static void ddl_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ddl); i++) {
        struct plan p = plan_of(ddl[i].facts, "ks", no_holds, ddl[i].text, true, false);
        struct sql_name st = {p.statement.text, p.statement.len};

        if (p.passed)
            st = (struct sql_name){NULL, 0}; /* for those who watch what passes */
        if (p.action != ddl[i].action || !is_same(p.passed, ddl[i].passed) ||
            !is_name(st, ddl[i].statement))
            fail_msg("[%s] %s: %s, passed %s, statement \"%.*s\"", ddl[i].facts, ddl[i].text,
                     ACTIONS[p.action], p.passed ? p.passed : "-", (int)st.len, st.text);
    }
}

/* Of a text that is longer than what is looked at, the rest could be anything. */
static void control_cannot_hide_in_length(void **state)
{
    (void)state;
    static const struct {
        const char *facts, *text;
        enum plan_action action;
        enum plan_effect effect;
    } cases[] = {
        {"n", "/* a long comment", PLAN_DENY, EFFECT_NONE},
        {"n", "select 1", PLAN_FORWARD, EFFECT_NONE},
        {"nm", "select 1", PLAN_DENY, EFFECT_NONE},
        {"n", "alter vitess_migration 'x' cancel /*", PLAN_DENY, EFFECT_NONE},
        {"", "/* a long comment", PLAN_FORWARD, EFFECT_NONE},
        {"m", "select 1", PLAN_FORWARD, EFFECT_NONE},
        {"", "alter vitess_migration 'x' cancel /*", PLAN_FORWARD, EFFECT_CONTROL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan p = plan_of(cases[i].facts, "ks", no_holds, cases[i].text, false, false);

        if (p.action != cases[i].action || p.effect != cases[i].effect)
            fail_msg("[%s] %s: %s", cases[i].facts, cases[i].text, ACTIONS[p.action]);
    }
}

static void most_texts_are_plain(void **state)
{
    (void)state;
    static const struct {
        const char *facts, *text;
        bool plain;
    } cases[] = {
        {"", "select * from t", true},
        {"m", "select * from t", true},
        {"t", "insert into t values (1)", true},
        {"s", "/* x */ update t set a=1", true},
        {"", "alter table t add c int", false},
        {"", "execute ddl", false},
        {"", "set @a=1", false},
        {"m", "select 1; select 2", false},
        {"m", "select 1; drop table t", false},
        {"", "select 1; drop table t", true},
        {"", "", true},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct plan_facts facts = make_facts(cases[i].facts, "ks", no_holds);

        if (is_plain(&facts, cases[i].text) != cases[i].plain)
            fail_msg("[%s] %s", cases[i].facts, cases[i].text);
    }
}

static const struct {
    const char *database;
    bool is_shard;
    const char *passed, *qualified; /* of "alter table t .." and "alter table ks.t .." */
} targets[] = {
    {"ks", false, NULL, NULL},
    {"ks@primary", false, NULL, NULL},
    {"ks:-80", true, "targeted", "targeted"},
    {"ks/-80", true, "targeted", "targeted"},
    {"ks:80-@primary", true, "targeted", "targeted"},
    {"ks[00]", true, "targeted", "targeted"},
    {"", false, NULL, NULL}, /* vtgate finds the keyspace, or says that there is none */
    {NULL, false, NULL, NULL},
};

static void targets_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(targets); i++) {
        const char *database = targets[i].database;
        struct plan bare = plan_of("", database, no_holds, "alter table t add c int", true, false);
        struct plan full = plan_of("", database, no_holds, "drop view ks.v", true, false);

        if (target_is_shard(database) != targets[i].is_shard ||
            !is_same(bare.passed, targets[i].passed) || !is_same(full.passed, targets[i].qualified))
            fail_msg("%s", database ? database : "NULL");
        assert_int_equal(bare.action, targets[i].passed ? PLAN_FORWARD : PLAN_MIGRATE);
        assert_int_equal(full.action, targets[i].qualified ? PLAN_FORWARD : PLAN_MIGRATE);
    }
}

/* KILL of an id is the shim's; whatever else it says, vtgate judges. */
static const struct {
    const char *facts, *text;
    enum plan_action action;
    uint64_t id;
    bool query;
} kills[] = {
    {"", "kill 5", PLAN_KILL, 5, false},
    {"", "KILL CONNECTION 4294967295;", PLAN_KILL, 4294967295, false},
    {"", "/* x */ kill query 7 -- y", PLAN_KILL, 7, true},
    {"", "/*! kill query 7 */", PLAN_KILL, 7, true},
    {"t", "kill 5", PLAN_KILL, 5, false},
    {"o", "kill 5", PLAN_KILL, 5, false},
    {"m", "kill 5;;", PLAN_KILL, 5, false},
    {"m", "select 1; kill 5", PLAN_SCRIPT, 0, false},
    {"", "kill 5; select 1", PLAN_FORWARD, 0, false}, /* vtgate refuses several */
    {"p", "kill 5", PLAN_FORWARD, 0, false},
    {"", "kill", PLAN_FORWARD, 0, false},
    {"", "kill query", PLAN_FORWARD, 0, false},
    {"", "kill 5 6", PLAN_FORWARD, 0, false},
    {"", "kill -5", PLAN_FORWARD, 0, false},
    {"", "kill 5.0", PLAN_FORWARD, 0, false},
    {"", "kill 0x5", PLAN_FORWARD, 0, false},
    {"", "kill 99999999999", PLAN_FORWARD, 0, false},
    {"", "kill @id", PLAN_FORWARD, 0, false},
    {"", "kill hard query 5", PLAN_FORWARD, 0, false},
};

static void kills_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(kills); i++) {
        struct plan p = plan_of(kills[i].facts, "ks", all_held, kills[i].text, true, false);

        if (strstr(kills[i].text, "select") || strchr(kills[i].facts, 'p'))
            p = plan_of(kills[i].facts, "ks", no_holds, kills[i].text, true, false);
        if (p.action != kills[i].action || p.kill_id != kills[i].id ||
            p.kill_query != kills[i].query)
            fail_msg("[%s] %s: %s %llu", kills[i].facts, kills[i].text, ACTIONS[p.action],
                     (unsigned long long)p.kill_id);
    }
}

/* Effects */

static const struct {
    const char *facts, *text;
    enum plan_effect effect;
    const char *name, *body;
} effects[] = {
    {"", "select 1", EFFECT_NONE, NULL, NULL},
    {"", "use other", EFFECT_DATABASE, "other", NULL},
    {"", "use `ks:-80@replica`", EFFECT_DATABASE, "ks:-80@replica", NULL},
    {"", "/* x */ USE other@replica;", EFFECT_DATABASE, "other@replica", NULL},
    {"", "set ddl_strategy = 'online'", EFFECT_STRATEGY_OWN, NULL, NULL},
    {"", "set autocommit=1, @@session.ddl_strategy='x'", EFFECT_STRATEGY_OWN, NULL, NULL},
    {"", "set @@ddl_strategy=DEFAULT", EFFECT_STRATEGY_DEFAULT, NULL, NULL},
    {"", "set global ddl_strategy='x'", EFFECT_NONE, NULL, NULL},
    {"", "set names utf8mb4", EFFECT_NONE, NULL, NULL},
    {"", "prepare s from 'drop table t'", EFFECT_PREPARE_NAMED, "s", "drop table t"},
    {"r", "prepare s from @v", EFFECT_PREPARE_NAMED, "s", NULL},
    {"", "create temporary table ks.tmp (id int)", EFFECT_TEMPORARY, "tmp", NULL},
    {"", "drop temporary table tmp", EFFECT_NONE, NULL, NULL},
    {"", "select get_lock('x', 1)", EFFECT_LOCK, NULL, NULL},
    {"", "select release_lock('x')", EFFECT_LOCK, NULL, NULL},
    {"p", "select get_lock(?, ?)", EFFECT_PREPARE, NULL, NULL},
    {"", "deallocate prepare s", EFFECT_DEALLOCATE_NAMED, "s", NULL},
    {"", "drop prepare s", EFFECT_DEALLOCATE_NAMED, "s", NULL},
    {"", "execute use", EFFECT_DATABASE, "other", NULL},
    {"", "execute own", EFFECT_STRATEGY_OWN, NULL, NULL},
    {"", "execute nobody_knows", EFFECT_NONE, NULL, NULL},
    {"p", "select ?", EFFECT_PREPARE, NULL, NULL},
    {"p", "use other", EFFECT_PREPARE, NULL, NULL},
    {"p", "execute own", EFFECT_PREPARE, NULL, NULL},
};

static void effects_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(effects); i++) {
        struct plan p = plan_of(effects[i].facts, "ks", no_holds, effects[i].text, true, false);

        if (p.action != PLAN_FORWARD || p.effect != effects[i].effect ||
            (effects[i].name && !is_name(p.name, effects[i].name)) ||
            !is_name(p.body, effects[i].body))
            fail_msg("%s: %s, effect %d, name \"%.*s\", body \"%.*s\"", effects[i].text,
                     ACTIONS[p.action], p.effect, (int)p.name.len, p.name.text, (int)p.body.len,
                     p.body.text);
    }
}

/* PREPARE from a variable needs to know first what that holds. */
static void variables_are_resolved(void **state)
{
    (void)state;
    struct plan p = plan_of("", "ks", no_holds, "prepare s from @`v`", true, false);

    assert_int_equal(p.action, PLAN_RESOLVE);
    assert_true(is_name(p.body, "@`v`"));
    p = plan_of("m", "ks", no_holds, "set @v='x'; prepare s from @v", true, false);
    assert_int_equal(p.action, PLAN_SCRIPT);
    p = plan_of("", "ks", no_holds, "prepare s from @@version", true, false);
    assert_int_equal(p.action, PLAN_FORWARD);
}

/* DDL on a temporary table is the session's own business. */
static void temporary_tables_pass(void **state)
{
    (void)state;
    struct names temporary = {.everything = false};
    struct plan_facts facts = make_facts("", "ks", no_holds);
    const char *const texts[] = {"alter table tmp add c int", "drop table if exists TMP"};

    names_add(&temporary, "tmp", 3);
    facts.temporary = &temporary;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct plan p =
            plan_text(&facts, texts[i], strlen(texts[i]), true, false, false, NULL, NULL);

        assert_int_equal(p.action, PLAN_FORWARD);
        assert_string_equal(p.passed, "temporary");
    }
    struct plan p = plan_text(&facts, "drop table t", 12, true, false, false, NULL, NULL);

    assert_int_equal(p.action, PLAN_MIGRATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ddl_is_found, prepare_named, forget_named),
        cmocka_unit_test(control_cannot_hide_in_length),
        cmocka_unit_test(most_texts_are_plain),
        cmocka_unit_test(targets_decide),
        cmocka_unit_test(variables_are_resolved),
        cmocka_unit_test(temporary_tables_pass),
        cmocka_unit_test(kills_are_read),
        cmocka_unit_test_setup_teardown(effects_are_told, prepare_named, forget_named),
    };
    return cmocka_run_group_tests(tests, make_sets, release_sets);
}
