/*
 * Statements with other literals: the types and what is equal stay, the user's values go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "planner/sample.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *sql, *sample; /* NULL: none */
} CASES[] = {
    {"SELECT a FROM t WHERE id = 77", "SELECT a FROM t WHERE id = 1001"},
    {"select a from t where id = 77 and b = 'secret' and c = 1.25 limit 10",
     "select a from t where id = 1001 and b = 's1002' and c = 1003.5 limit 1004"},
    /* equal ones stay equal, others stay different */
    {"UPDATE t SET a = 5, b = 6, c = 5 WHERE d = '5'",
     "UPDATE t SET a = 1001, b = 1002, c = 1001 WHERE d = 's1003'"},
    {"SELECT -5", "SELECT -1001"},
    {"SELECT a FROM t WHERE id IN (1, 22, -333) AND b = 'x'",
     "SELECT a FROM t WHERE id IN (1001) AND b = 's1002'"},
    {"SELECT a FROM t WHERE b in ('a','b') or id in(5)",
     "SELECT a FROM t WHERE b in ('s1001') or id in(1002)"},
    {"SELECT a FROM t WHERE id IN (1, f(2), 3)",
     "SELECT a FROM t WHERE id IN (1001, f(1002), 1003)"},
    {"SELECT a FROM t WHERE id IN (SELECT 9 FROM u)",
     "SELECT a FROM t WHERE id IN (SELECT 1001 FROM u)"},
    {"INSERT INTO t(a, b) VALUES (9, 'it''s'), (8, \"x\\\"y\")",
     "INSERT INTO t(a, b) VALUES (1001, 's1002'), (1003, 's1004')"},
    {"SELECT a, count(*) AS 'how many' FROM t GROUP BY 1 HAVING count(*) > 7 ORDER BY 2 DESC LIMIT "
     "9",
     "SELECT a, count(*) AS 'how many' FROM t GROUP BY 1 HAVING count(*) > 1001 ORDER BY 2 DESC "
     "LIMIT 1002"},
    {"SELECT group_concat(a ORDER BY 1 SEPARATOR ';') FROM t WHERE `x` = 3",
     "SELECT group_concat(a ORDER BY 1 SEPARATOR ';') FROM t WHERE `x` = 1001"},
    {"/* trace 4711 */ SELECT 5 ; ", "SELECT 1001"},
    {"SELECT 5 /* trace 4711 */", "SELECT 1001"},
    {"SELECT /*vt+ ALLOW_SCATTER */ a FROM t WHERE b = 5",
     "SELECT /*vt+ ALLOW_SCATTER */ a FROM t WHERE b = 1001"},
    {"SELECT\ta\n FROM t", "SELECT\ta\n FROM t"},
    {"WITH c AS (SELECT 8) SELECT * FROM c", "WITH c AS (SELECT 1001) SELECT * FROM c"},
    {"(SELECT 8) UNION (SELECT 9)", "(SELECT 1001) UNION (SELECT 1002)"},
    {"SELECT NULL, TRUE, @a, @@autocommit", "SELECT NULL, TRUE, @a, @@autocommit"},
    /* nothing that is harmless is known */
    {"SELECT /* trace 4711 */ a FROM t", NULL},
    {"-- hello\nSELECT 1", NULL},
    {"SELECT x'1f'", NULL},
    {"SELECT 0x1f", NULL},
    {"SELECT 1e9", NULL},
    {"SELECT 12345678901234567890", NULL},
    {"SELECT DATE '2026-01-01'", NULL},
    {"SELECT _utf8mb4'x'", NULL},
    {"SELECT GET_LOCK('x', 1)", NULL},
    {"SELECT NEXT 5 VALUES FROM s", NULL},
    {"SELECT sleep(1)", NULL},
    {"SELECT 1; SELECT 2", NULL},
    {"SELECT 'open", NULL},
    {"SELECT `open", NULL},
    {"SELECT /* open", NULL},
    {"ALTER TABLE t ADD b int", NULL},
    {"SET a = 5", NULL},
    {"", NULL},
    {";", NULL},
};

static void literals_are_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char dst[SAMPLE_MAX];
        size_t n = sample_text(dst, sizeof(dst), CASES[i].sql, strlen(CASES[i].sql));

        if (!CASES[i].sample) {
            if (n != 0)
                fail_msg("%s became %s", CASES[i].sql, dst);
            continue;
        }
        assert_string_equal(dst, CASES[i].sample);
        assert_int_equal(n, strlen(dst));
    }
}

/* Whatever the room, nothing is written beyond it, and what is cut is no statement. */
static void room_is_respected(void **state)
{
    static const char SQL[] = "SELECT a FROM t WHERE id = 77 AND b IN ('x', 'y')";

    (void)state;
    for (size_t size = 0; size < 60; size++) {
        char dst[64];

        memset(dst, 'Z', sizeof(dst));
        size_t n = sample_text(dst, size, SQL, strlen(SQL));

        assert_int_equal(dst[size], 'Z');
        assert_true(n == 0 || (n < size && dst[n] == '\0'));
        assert_int_equal(n != 0,
                         size > strlen("SELECT a FROM t WHERE id = 1001 AND b IN ('s1002')"));
    }
}

static void too_much_is_none(void **state)
{
    char sql[SAMPLE_MAX + 8], dst[SAMPLE_MAX];
    size_t n = (size_t)snprintf(sql, sizeof(sql), "SELECT 1");

    (void)state;
    for (int i = 0; i < 140; i++)
        n += (size_t)snprintf(sql + n, sizeof(sql) - n, "+%d", 1000 + i);
    assert_int_equal(sample_text(dst, sizeof(dst), sql, n), 0);
    memset(sql + 8, ' ', SAMPLE_MAX);
    assert_int_equal(sample_text(dst, sizeof(dst), sql, SAMPLE_MAX + 1), 0);
}

static void writing_is_told(void **state)
{
    static const struct {
        const char *sql;
        bool writes;
    } cases[] = {
        {"insert into t values (1)", true},
        {"REPLACE t(a) VALUES (1)", true},
        {"WITH c AS (SELECT 1) DELETE FROM t", true},
        {"SELECT a FROM t FOR UPDATE", true}, /* it locks */
        {"UPDATE t SET a = replace(a, 's1001', 's1002')", true},
        {"SELECT `update` FROM t", false},
        {"SELECT REPLACE(a, 's1001', 's1002') FROM t", false},
        {"SELECT insert (a, 1001, 1002, 's1003') FROM t", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (sample_writes(cases[i].sql, strlen(cases[i].sql)) != cases[i].writes)
            fail_msg("%s", cases[i].sql);
    }
}

static void what_is_apart_is_told(void **state)
{
    (void)state;
    assert_true(sample_is_apart("SELECT a FROM t WHERE id = 1001", 31));
    assert_true(sample_is_apart("SELECT 's1001'", 14));
    assert_false(sample_is_apart("SELECT count(*) FROM t1001 ORDER BY 1", 37));
    assert_false(sample_is_apart("SELECT sum(a) AS 'sum of all' FROM t", 36));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_replaced), cmocka_unit_test(room_is_respected),
        cmocka_unit_test(too_much_is_none),      cmocka_unit_test(writing_is_told),
        cmocka_unit_test(what_is_apart_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
