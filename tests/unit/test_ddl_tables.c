/*
 * Which tables a DDL is about, and its text without the keyspace's name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "planner/ddl_tables.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The tables as "ks.a b". */
static void list(const char *sql, char *out, size_t size)
{
    struct ddl_table tables[4];
    struct statement st;

    classify_next(sql, strlen(sql), &st);
    assert_int_equal(st.kind, STATEMENT_ONLINE_DDL);
    size_t n = ddl_tables(&st, tables, COUNT(tables)), at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && i < COUNT(tables); i++) {
        const struct ddl_table *t = &tables[i];

        at += (size_t)snprintf(out + at, size - at, "%s%.*s%s%.*s", i ? " " : "",
                               (int)t->qualifier.len, t->qualifier.text,
                               t->qualifier.len ? "." : "", (int)t->name.len, t->name.text);
    }
    if (n > COUNT(tables))
        snprintf(out + at, size - at, " and %zu more", n - COUNT(tables));
}

static void tables_are_found(void **state)
{
    static const struct {
        const char *sql, *tables;
    } CASES[] = {
        {"ALTER TABLE a ADD b int", "a"},
        {"ALTER TABLE ks.a ADD b int, ADD c int", "ks.a"},
        {"CREATE TABLE IF NOT EXISTS `ks`.`a` (id int, b int)", "ks.a"},
        {"CREATE INDEX i ON ks.t (a, b)", "ks.t"},
        {"DROP INDEX i ON t", "t"},
        {"DROP TABLE a", "a"},
        {"drop table if exists ks.a, b , `c`.`d`", "ks.a b c.d"},
        {"DROP VIEW v, w", "v w"},
        {"DROP TABLE a, b, c, d, e, f", "a b c d and 2 more"},
        {"/*! DROP */ TABLE /* , */ a /* x */ , -- y\n b", "a b"},
        {"DROP TABLE a b", "a"},
        {"DROP TABLE a,", "a"},
        {"DROP TABLE a.", ""},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        list(CASES[i].sql, out, sizeof(out));
        assert_string_equal(out, CASES[i].tables);
    }
}

static void keyspaces_are_taken_away(void **state)
{
    static const struct {
        const char *sql, *unqualified;
    } CASES[] = {
        {"ALTER TABLE a ADD b int", "ALTER TABLE a ADD b int"},
        {"ALTER TABLE ks.a ADD b int", "ALTER TABLE a ADD b int"},
        {"ALTER TABLE `ks`.`a` ADD b int", "ALTER TABLE `a` ADD b int"},
        {"ALTER TABLE ks . a ADD b int", "ALTER TABLE  a ADD b int"},
        {"ALTER TABLE ks/* x */./* y */a ADD b int", "ALTER TABLE /* y */a ADD b int"},
        {"DROP TABLE ks.a, ks.b, other.c", "DROP TABLE a, b, other.c"},
        {"CREATE VIEW v AS SELECT ks.t.id FROM ks.t", "CREATE VIEW v AS SELECT t.id FROM t"},
        {"CREATE VIEW v AS SELECT x.ks.id FROM t", "CREATE VIEW v AS SELECT x.ks.id FROM t"},
        {"CREATE TABLE ks.ks (ks int)", "CREATE TABLE ks (ks int)"},
        {"ALTER TABLE KS.a ADD b int", "ALTER TABLE KS.a ADD b int"},
        {"ALTER TABLE a COMMENT 'ks.a', ADD `ks.b` int",
         "ALTER TABLE a COMMENT 'ks.a', ADD `ks.b` int"},
        {"ALTER TABLE a ADD b int DEFAULT 1.5", "ALTER TABLE a ADD b int DEFAULT 1.5"},
        {"ks.", ""},
        {"ks", "ks"},
        {"", ""},
        {"ALTER TABLE ks.2nd ADD b int", "ALTER TABLE 2nd ADD b int"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        size_t len = strlen(CASES[i].sql);
        char *text = malloc(len + 1), *out = malloc(len + 1);

        memcpy(text, CASES[i].sql, len);
        assert_int_equal(ddl_unqualify(out, text, len, "ks"), strlen(CASES[i].unqualified));
        assert_string_equal(out, CASES[i].unqualified);
        free(text);
        free(out);
    }
}

static void further_tables_are_noticed(void **state)
{
    static const struct {
        const char *sql;
        bool more;
    } CASES[] = {
        {"ALTER TABLE ks.a ADD b int", false},
        {"CREATE TABLE ks.a (id int, liked int COMMENT 'like')", false},
        {"CREATE TABLE ks.a LIKE b", true},
        {"CREATE TABLE ks.a (id int, b int references c (id))", true},
        {"CREATE VIEW ks.v AS SELECT 1", true},
        {"ALTER VIEW ks.v AS TABLE t", true},
        {"DROP VIEW ks.v", false},
        {"DROP TABLE ks.a, ks.b", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct statement st;

        classify_next(CASES[i].sql, strlen(CASES[i].sql), &st);
        assert_int_equal(ddl_names_more(&st), CASES[i].more);
    }
}

/* What has a keyspace keeps it, and all but DROP VIEW is left alone. */
static void dropped_views_are_qualified(void **state)
{
    static const struct {
        const char *sql, *want; /* NULL: as it is */
    } CASES[] = {
        {"DROP VIEW v", "DROP VIEW `ks`.v"},
        {"drop view if exists `v` , w;", "drop view if exists `ks`.`v` , `ks`.w;"},
        {"DROP /*vtshim wait=no */ VIEW a, other.b,c",
         "DROP /*vtshim wait=no */ VIEW `ks`.a, other.b,`ks`.c"},
        {"DROP VIEW other.v", NULL},
        {"DROP TABLE v", NULL},
        {"CREATE VIEW v AS SELECT 1", NULL},
        {"ALTER TABLE v DROP VIEW", NULL},
        {"DROP VIEW", NULL},
    };
    char out[200];

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct statement st;
        size_t len = strlen(CASES[i].sql), want = CASES[i].want ? strlen(CASES[i].want) : 0;

        classify_next(CASES[i].sql, len, &st);
        st.text = CASES[i].sql;
        st.len = len;
        size_t n = ddl_qualify_views(out, sizeof(out), &st, (struct sql_name){"ks", 2});

        if (n != want || (n && memcmp(out, CASES[i].want, n) != 0))
            fail_msg("%s: %.*s", CASES[i].sql, (int)n, out);
        for (size_t room = 0; room < want; room++)
            assert_int_equal(ddl_qualify_views(out, room, &st, (struct sql_name){"ks", 2}), 0);
        assert_int_equal(ddl_qualify_views(out, sizeof(out), &st, (struct sql_name){"k`s", 3}), 0);
        assert_int_equal(ddl_qualify_views(out, sizeof(out), &st, (struct sql_name){"", 0}), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_found),
        cmocka_unit_test(keyspaces_are_taken_away),
        cmocka_unit_test(further_tables_are_noticed),
        cmocka_unit_test(dropped_views_are_qualified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
