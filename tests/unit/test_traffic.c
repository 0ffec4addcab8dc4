/* Columns that statements named lately. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "planner/traffic.h"

static struct traffic traffic; /* zeroed: nothing was named */

static void note(const char *sql, int64_t now_ms)
{
    uint32_t pairs[TRAFFIC_PAIRS_MAX];

    traffic_note(&traffic, pairs, traffic_pairs(sql, strlen(sql), pairs), now_ms);
}

static bool knows(const char *table, const char *column, int64_t now_ms)
{
    return traffic_knows(&traffic, (struct sql_name){table, strlen(table)},
                         (struct sql_name){column, strlen(column)}, now_ms);
}

static void statements(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *table, *column;
        bool known;
    } cases[] = {
        {"SELECT a, b FROM t WHERE c = 1", "t", "a", true},
        {"SELECT a, b FROM t WHERE c = 1", "T", "C", true},
        {"SELECT a, b FROM t WHERE c = 1", "t", "d", false},
        {"SELECT a, b FROM t WHERE c = 1", "u", "a", false},
        {"SELECT x.a FROM ks.`t` AS x JOIN v ON x.id = v.id", "t", "a", true},
        {"SELECT x.a FROM ks.`t` AS x JOIN v ON x.id = v.id", "v", "id", true},
        {"SELECT x.a FROM ks.`t` AS x JOIN v ON x.id = v.id", "ks", "a", false},
        {"SELECT a FROM t, u o WHERE 1", "u", "a", true},
        {"INSERT INTO t (a) VALUES ('b')", "t", "a", true},
        {"INSERT INTO t (a) VALUES ('b')", "t", "b", false},
        {"UPDATE t SET a = 1", "t", "a", true},
        {"DELETE FROM t WHERE `a` = 1", "t", "a", true},
        {"SELECT a, 't'", "t", "a", false},
        {"", "t", "a", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        memset(&traffic, 0, sizeof(traffic));
        note(cases[i].sql, 1);
        if (knows(cases[i].table, cases[i].column, 1) != cases[i].known)
            fail_msg("%s: %s.%s", cases[i].sql, cases[i].table, cases[i].column);
    }
}

static void forgetting(void **state)
{
    (void)state;
    memset(&traffic, 0, sizeof(traffic));
    note("SELECT a FROM t", 1000);
    assert_true(knows("t", "a", 1000 + TRAFFIC_TURN_MS));
    note("SELECT b FROM t", 1000 + TRAFFIC_TURN_MS + 1);
    assert_true(knows("t", "a", 1000 + TRAFFIC_TURN_MS + 2));
    assert_false(knows("t", "a", 1000 + 2 * TRAFFIC_TURN_MS + 2));
    assert_true(knows("t", "b", 1000 + 2 * TRAFFIC_TURN_MS + 3));
    assert_false(knows("t", "b", 1000 + 9 * TRAFFIC_TURN_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(statements), cmocka_unit_test(forgetting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
